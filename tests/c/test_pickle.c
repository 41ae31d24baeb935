/* Tests of csrc/serialize/pickle: lengths, names and renaming of pickles written by hand, and that
 * damaged ones are refused without reading past their end. */
#include <stdlib.h>

#include "base/base.h"
#include "base/error.h"
#include "check.h"
#include "serialize/pickle.h"

/* A literal with embedded zeros, and its length. */
#define BYTES(literal) (const uint8_t *)(literal), sizeof(literal) - 1

static const char protocol2[] = "\x80\x02}q\x00(X\x01\x00\x00\x00"
                                "aq\x01"
                                "cours.utils\nbuild\nq\x02K\x05\x85q\x03Rq\x04X\x04\x00\x00\x00"
                                "oursq\x05"
                                "cours2\nname\nu.";
/* ("ours.utils", ours.utils.build, ours.utils.build2): the module's name is also data. */
static const char protocol4[] = "\x80\x04\x95\x31\x00\x00\x00\x00\x00\x00\x00"
                                "\x8c\x0aours.utils\x94"
                                "h\x00\x8c\x05"
                                "build\x94\x93\x94"
                                "\x8c\x0aours.utils\x94\x8c\x06"
                                "build2\x94\x93\x94\x87\x94.";

typedef struct names {
    char text[200];
    int stop_after;
} names;

static int
note(void *ctx, const char *module, size_t module_len, const char *name, size_t name_len)
{
    names *n = ctx;
    size_t used = strlen(n->text);
    snprintf(n->text + used, sizeof n->text - used, "%.*s:%.*s ", (int)module_len, module,
             (int)name_len, name);
    return n->stop_after > 0 && --n->stop_after == 0 ? -1 : 0;
}

static void
test_length(void)
{
    const uint8_t *data = (const uint8_t *)protocol2;
    size_t n = sizeof protocol2 - 1;
    CHECK_INT(mt_pickle_length(data, n), n);
    for (size_t cut = 0; cut < n; cut++)
        CHECK_INT(mt_pickle_length(data, cut), 0);
    CHECK_INT(mt_pickle_length(BYTES("N.N.")), 2);
    CHECK_INT(mt_pickle_length(BYTES("I5\n.")), 4);
    CHECK_INT(mt_pickle_length(BYTES("\x80\x02K")), 0);
    CHECK_INT(mt_pickle_length(BYTES("N\xff.")), -1);
    CHECK_INT(mt_pickle_length(BYTES("T\xff\xff\xff\xff.")), -1);
    CHECK_INT(mt_pickle_length(BYTES("\x8d\xff\xff\xff\xff\xff\xff\xff\xff.")), -1);
}

static void
test_globals(void)
{
    names n = {"", 0};
    CHECK_INT(mt_pickle_globals(BYTES(protocol2), note, &n), 0);
    CHECK_STR(n.text, "ours.utils:build ours2:name ");
    n = (names){"", 0};
    CHECK_INT(mt_pickle_globals(BYTES(protocol4), note, &n), 0);
    CHECK_STR(n.text, "ours.utils:build ours.utils:build2 ");
    n = (names){"", 1};
    CHECK_INT(mt_pickle_globals(BYTES(protocol4), note, &n), -1);
    CHECK_STR(n.text, "ours.utils:build ");
    /* Names that are not plain literals are not guessed. */
    CHECK_INT(mt_pickle_globals(BYTES("\x80\x04NN\x93."), note, &n), -1);
    CHECK_INT(mt_error(NULL), MT_RUNTIME);
    CHECK_INT(mt_pickle_globals(BYTES("N"), note, &n), -1);
    CHECK_INT(mt_error(NULL), MT_EOF);
}

static void
check_renamed(const uint8_t *data, size_t n, const char *expected, size_t expected_n)
{
    size_t got_n = 0;
    uint8_t *got = mt_pickle_rename(data, n, "ours", "theirs", &got_n);
    if (CHECK(got != NULL)) {
        CHECK_INT(got_n, expected_n);
        CHECK(got_n == expected_n && !memcmp(got, expected, got_n));
    }
    free(got);
}

static void
test_rename(void)
{
    static const char two[] = "\x80\x02}q\x00(X\x01\x00\x00\x00"
                              "aq\x01"
                              "ctheirs.utils\nbuild\nq\x02K\x05\x85q\x03Rq\x04X\x04\x00\x00\x00"
                              "oursq\x05"
                              "cours2\nname\nu.";
    /* Data and memo stay as they were; the first name came from the memo, the second was put
     * into it, so the literal is kept for the memo and dropped from the stack. */
    static const char four[] = "\x80\x04"
                               "\x8c\x0aours.utils\x94"
                               "X\x0c\x00\x00\x00theirs.utils\x8c\x05"
                               "build\x94\x93\x94"
                               "\x8c\x0aours.utils\x94"
                               "0X\x0c\x00\x00\x00theirs.utils\x8c\x06"
                               "build2\x94\x93\x94\x87\x94.";
    check_renamed(BYTES(protocol2), two, sizeof two - 1);
    check_renamed(BYTES(protocol4), four, sizeof four - 1);
    /* Without memo, and the module itself. */
    check_renamed(BYTES("\x80\x05\x8c\x04ours\x8c\x01x\x93."),
                  "\x80\x05X\x06\x00\x00\x00theirs\x8c\x01x\x93.", 18);
    check_renamed(BYTES("\x80\x02(iours\nx\n."), "\x80\x02(itheirs\nx\n.", 14);
    check_renamed(BYTES("N."), "N.", 2);
    /* Persistent ids that stand for globals; the memo of protocol 4 keeps its numbers. */
    check_renamed(BYTES("\x80\x02X\x07\x00\x00\x00ours\nb\nq\x01QX\x05\x00\x00\x00ours\nQ\x86."),
                  "\x80\x02"
                  "cours\nb\nq\x01X\x05\x00\x00\x00ours\nQ\x86.",
                  25);
    check_renamed(BYTES("\x80\x04\x8c\x04m\nb\n\x94Q."),
                  "\x80\x04\x8c\x04m\nb\n\x94"
                  "0cm\nb\n.",
                  16);
}

static void
test_damage(void)
{
    uint64_t state = 7;
    for (int round = 0; round < 60000; round++) {
        bool four = round % 2;
        size_t n = four ? sizeof protocol4 - 1 : sizeof protocol2 - 1, out_n = 0;
        uint8_t *copy = malloc(n); /* of the exact size, for the sanitizer */
        memcpy(copy, four ? protocol4 : protocol2, n);
        for (int k = 0; k < 3; k++) {
            state = state * 6364136223846793005ull + 1442695040888963407ull;
            copy[(state >> 33) % n] = (uint8_t)(state >> 20);
        }
        names seen = {"", 0};
        int64_t length = mt_pickle_length(copy, n);
        CHECK(length >= -1 && length <= (int64_t)n);
        mt_pickle_globals(copy, n, note, &seen);
        uint8_t *out = mt_pickle_rename(copy, n, "ours", "theirs", &out_n);
        CHECK(!out || length > 0);
        free(out);
        free(copy);
        mt_error_clear();
    }
}

int
main(void)
{
    test_length();
    test_globals();
    test_rename();
    test_damage();
    return check_done();
}
