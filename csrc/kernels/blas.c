/* Opens the library once, under a lock; afterwards the table is read without one. */
#define _GNU_SOURCE
#include "kernels/blas.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(const mt_blas *) opened;
static void *library;
static char *library_path;
static mt_blas table;
static char config[256];

/* The wheel's build prefixes all its symbols; a plain OpenBLAS has none. */
static const char *const prefixes[] = {"scipy_", ""};

void
mt_blas_set_library(const char *path)
{
    char *copy = path != NULL ? strdup(path) : NULL;
    pthread_mutex_lock(&lock);
    free(library_path);
    library_path = copy;
    pthread_mutex_unlock(&lock);
}

static void *
find(const char *name)
{
    char full[128];
    for (size_t i = 0; i < MT_COUNT(prefixes); i++) {
        int length = snprintf(full, sizeof full, "%s%s", prefixes[i], name);
        if (length < 0 || (size_t)length >= sizeof full)
            return NULL;
        void *symbol = dlsym(library, full);
        if (symbol != NULL)
            return symbol;
    }
    return NULL;
}

/* The constructor of OpenBLAS reads its environment and starts threads: OPENBLAS_NUM_THREADS is 1
 * for that moment. Other settings, OPENBLAS_CORETYPE among them, are the user's. */
static void *
open_with_one_thread(const char *path)
{
    const char *variable = "OPENBLAS_NUM_THREADS";
    const char *value = getenv(variable);
    char *before = value != NULL ? strdup(value) : NULL;
    setenv(variable, "1", 1);
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (before != NULL)
        setenv(variable, before, 1);
    else
        unsetenv(variable);
    free(before);
    return handle;
}

static int
fill_table(void)
{
    const struct {
        const char *name;
        void *slot;
    } entries[] = {
#define X(L, T, S) {"cblas_" #L "gemm", &table.L##gemm}, {"cblas_" #L "gemv", &table.L##gemv},
        MT_FOR_BLAS(X)
#undef X
            {"cblas_sdot", &table.sdot},
        {"cblas_ddot", &table.ddot},
        {"cblas_cdotu_sub", &table.cdotu_sub},
        {"cblas_zdotu_sub", &table.zdotu_sub},
        {"cblas_cdotc_sub", &table.cdotc_sub},
        {"cblas_zdotc_sub", &table.zdotc_sub},
        {"openblas_get_config", &table.get_config},
        {"openblas_get_corename", &table.get_corename},
        {"openblas_set_num_threads", &table.set_num_threads},
    };
    for (size_t i = 0; i < MT_COUNT(entries); i++) {
        void *symbol = find(entries[i].name);
        if (symbol == NULL)
            return mt_fail(MT_RUNTIME, "%s has no function %s: the BLAS library is not usable",
                           library_path, entries[i].name);
        memcpy(entries[i].slot, &symbol, sizeof symbol);
    }
    return 0;
}

/* The configuration names the core already in most builds; it is added where it does not. */
static void
describe(void)
{
    const char *text = table.get_config(), *core = table.get_corename();
    const char *version = strncmp(text, "OpenBLAS", 8) == 0 ? "" : "OpenBLAS ";
    if (strstr(text, core) != NULL)
        snprintf(config, sizeof config, "%s%s", version, text);
    else
        snprintf(config, sizeof config, "%s%s core %s", version, text, core);
}

static MT_COLD const mt_blas *
open_slowly(void)
{
    pthread_mutex_lock(&lock);
    const mt_blas *result = atomic_load(&opened);
    if (result != NULL)
        goto done;
    if (library_path == NULL) {
        mt_fail(MT_RUNTIME, "no BLAS library: install the package 'scipy-openblas32'");
        goto done;
    }
    if (library == NULL && (library = open_with_one_thread(library_path)) == NULL) {
        mt_fail(MT_RUNTIME, "cannot open the BLAS library: %s", dlerror());
        goto done;
    }
    if (fill_table() < 0) {
        dlclose(library);
        library = NULL;
        goto done;
    }
    table.set_num_threads(1);
    describe();
    atomic_store(&opened, &table);
    result = &table;
done:
    pthread_mutex_unlock(&lock);
    return result;
}

const mt_blas *
mt_blas_open(void)
{
    const mt_blas *result = atomic_load_explicit(&opened, memory_order_acquire);
    return MT_LIKELY(result != NULL) ? result : open_slowly();
}

void *
mt_blas_symbol(const char *name)
{
    if (mt_blas_open() == NULL)
        return NULL;
    void *symbol = find(name);
    if (symbol == NULL)
        mt_fail(MT_RUNTIME, "the BLAS library has no function %s", name);
    return symbol;
}

const char *
mt_blas_config(void)
{
    return mt_blas_open() != NULL ? config : NULL;
}
