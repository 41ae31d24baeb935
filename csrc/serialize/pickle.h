/* Walks pickle streams without running them: where a pickle ends, which globals it names, and the
 * same pickle with one top-level module renamed. Knows every opcode of protocols 0 to 5
 * (pickletools in CPython's library is their reference). Objects are never made here. */
#pragma once

#include "base/base.h"

/* The length of the pickle that starts at data[0], its STOP included; 0 when the bytes end before
 * STOP; -1 (with an error) on a byte that is no opcode or an argument that cannot be. */
int64_t mt_pickle_length(const uint8_t *data, size_t n);

/* Called for every global a pickle names, in order. Stops and is handed on when not 0. */
typedef int (*mt_pickle_global_fn)(void *ctx, const char *module, size_t module_len,
                                   const char *name, size_t name_len);
/* 0, or -1 with the error set. Names taken from the stack (STACK_GLOBAL) are found when they are
 * literals or memoised literals, as picklers write them. */
int mt_pickle_globals(const uint8_t *data, size_t n, mt_pickle_global_fn visit, void *ctx);

/* A copy of the pickle in which globals of the module `from` and of those below it are named in
 * `to`. A persistent id that is a literal "module\nname\n" becomes the global of that name, as it
 * is: so a pickler can name what it could not find there. Strings that are data stay as they are,
 * and frames (protocol 4 and up, optional by definition) are left out. The result is malloc'ed,
 * *out_n bytes; NULL on error. */
uint8_t *mt_pickle_rename(const uint8_t *data, size_t n, const char *from, const char *to,
                          size_t *out_n);
