/* json_test.c - JSON written, read, and refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <cmocka.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "runtime/base/clock.h"
#include "runtime/base/json.h"

static struct json *parse(const char *text)
{
    struct json *root;
    struct error err = { 0 };
    if (json_parse(text, strlen(text), &root, &err) != 0)
        fail_msg("%s: %s", text, err.message);
    return root;
}

static void documents_are_written_in_call_order(void **state)
{
    (void)state;
    struct text out;
    text_init(&out, 10000);
    struct json_writer *writer = json_writer_open(&out, false);
    json_object_begin(writer);
    json_key(writer, "z");
    json_int(writer, INT64_MIN);
    json_key(writer, "a");
    json_array_begin(writer);
    json_double(writer, 0.1);
    json_double(writer, 1e300);
    json_double(writer, NAN);
    json_double(writer, -INFINITY);
    json_decimal(writer, decimal_text("1.250"));
    json_decimal(writer, DECIMAL_NONE);
    json_time(writer, 1704067200 * NS_PER_SECOND);
    json_time(writer, TIME_NEVER);
    json_number_text(writer, "1.50");
    json_number_text(writer, "-0.5e+7");
    json_bool(writer, true);
    json_null(writer);
    json_string(writer, NULL);
    json_bytes(writer, "abc", 2);
    json_array_end(writer);
    json_object_end(writer);
    assert_string_equal(out.data,
                        "{\"z\":-9223372036854775808,\"a\":[0.1,1e+300,null,null,\"1.25\",null,"
                        "\"2024-01-01T00:00:00.000000000Z\",null,1.50,-0.5e+7,true,null,null,"
                        "\"ab\"]}");
    json_writer_close(writer);
    text_release(&out);
}

static void one_writer_makes_many_lines(void **state)
{
    (void)state;
    struct text out;
    text_init(&out, 10000);
    struct json_writer *writer = json_writer_open(&out, false);
    for (int i = 0; i < 3; i++) {
        json_writer_reset(writer);
        json_array_begin(writer);
        json_int(writer, i);
        json_array_end(writer);
        text_add(&out, "\n");
    }
    assert_string_equal(out.data, "[0]\n[1]\n[2]\n");
    json_writer_close(writer);
    text_release(&out);
}

static void pretty_documents_read_back(void **state)
{
    (void)state;
    struct text out;
    text_init(&out, 10000);
    struct json_writer *writer = json_writer_open(&out, true);
    json_object_begin(writer);
    json_key(writer, "a");
    json_int(writer, 1);
    json_object_end(writer);
    assert_string_equal(out.data, "{\n  \"a\": 1\n}\n");
    json_writer_close(writer);
    text_release(&out);
}

/* What venues and users send ends up in our files, which others parse. */
static void nothing_from_outside_breaks_a_document(void **state)
{
    (void)state;
    static const struct {
        const char *value, *expected;
    } cases[] = {
        { "q\" b\\ n\n t\t \x01", "[\"q\\\" b\\\\ n\\n t\\t \\u0001\"]" },
        { "\xff", "[\"\xef\xbf\xbd\"]" },
        { "a\xc3", "[\"a\xef\xbf\xbd\"]" },
        { "\xed\xa0\x80!", "[\"\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd!\"]" }, /* a surrogate */
        { "\xc0\xaf", "[\"\xef\xbf\xbd\xef\xbf\xbd\"]" },                   /* overlong */
        { "\xe2\x82\xac \xf0\x9f\x92\xb0", "[\"\xe2\x82\xac \xf0\x9f\x92\xb0\"]" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct text out;
        text_init(&out, 10000);
        struct json_writer *writer = json_writer_open(&out, false);
        json_array_begin(writer);
        json_string(writer, cases[i].value);
        json_array_end(writer);
        assert_string_equal(out.data, cases[i].expected);
        json_release(parse(out.data));
        json_writer_close(writer);
        text_release(&out);
    }
    static const char *const no_numbers[] = { "NaN", "", "+1", ".5", "5.", "01", "1e", "1 2", "-" };
    for (size_t i = 0; i < ARRAY_SIZE(no_numbers); i++) {
        struct text out;
        char expected[16];
        text_init(&out, 100);
        struct json_writer *writer = json_writer_open(&out, false);
        json_number_text(writer, no_numbers[i]);
        snprintf(expected, sizeof(expected), "\"%s\"", no_numbers[i]);
        assert_string_equal(out.data, expected);
        json_writer_close(writer);
        text_release(&out);
    }
}

static void a_document_becomes_a_tree(void **state)
{
    (void)state;
    struct json *root = parse(" { \"s\" : \"BTC\\/USDT \\u20ac\", \"p\" : 0.10, \"big\": "
                              "90071992547409931234567890, \"l\" : [1, true, false, null, [], {}], "
                              "\"o\": {\"k\": 1e400} }\n");
    assert_int_equal(json_kind(root), JSON_OBJECT);
    assert_int_equal(json_count(root), 5);
    assert_string_equal(json_as_string(json_get(root, "s")), "BTC/USDT \xe2\x82\xac");
    assert_string_equal(json_as_number_text(json_get(root, "p")), "0.10"); /* as spelled */
    assert_string_equal(json_as_number_text(json_get(root, "big")), "90071992547409931234567890");
    assert_string_equal(json_key_at(root, 3), "l");

    const struct json *list = json_at(root, 3);
    assert_int_equal(json_kind(list), JSON_ARRAY);
    assert_int_equal(json_count(list), 6);
    assert_true(json_as_bool(json_at(list, 1)));
    assert_false(json_as_bool(json_at(list, 2)));
    assert_int_equal(json_kind(json_at(list, 3)), JSON_NULL);
    assert_int_equal(json_count(json_at(list, 4)), 0);
    assert_int_equal(json_kind(json_at(list, 5)), JSON_OBJECT);
    assert_string_equal(json_as_number_text(json_get(json_get(root, "o"), "k")), "1e400");
    json_release(root);
}

/* A reader asks for what may be missing or of another kind, many levels down. */
static void wrong_questions_get_nothing(void **state)
{
    (void)state;
    struct json *root = parse("{\"a\":[1]}");
    assert_null(json_get(root, "b"));
    assert_null(json_get(json_get(root, "a"), "b"));
    assert_null(json_get(NULL, "b"));
    assert_null(json_at(json_get(root, "a"), 1));
    assert_null(json_at(NULL, 0));
    assert_null(json_key_at(root, 1));
    assert_null(json_key_at(json_get(root, "a"), 0));
    assert_null(json_as_string(root));
    assert_null(json_as_string(NULL));
    assert_null(json_as_number_text(root));
    assert_false(json_as_bool(root));
    assert_int_equal(json_count(NULL), 0);
    json_release(root);
    json_release(NULL);
}

static void single_values_are_documents(void **state)
{
    (void)state;
    struct json *root = parse("-12.50");
    assert_string_equal(json_as_number_text(root), "-12.50");
    json_release(root);
    root = parse("\"x\"");
    assert_string_equal(json_as_string(root), "x");
    json_release(root);
    root = parse("null");
    assert_int_equal(json_kind(root), JSON_NULL);
    json_release(root);
}

static void faults_are_refused_with_their_place(void **state)
{
    (void)state;
    static const struct {
        const char *text, *place, *reason;
    } cases[] = {
        { "", "line 1, column 1", "EOF" },
        { "{\"a\":1", "line 1, column 6", "EOF" },
        { "[1,\n 2,\n x]", "line 3, column 2", "invalid" },
        { "[1] x", "line 1, column 5", "trailing" },
        { "{\"a\":1,}", "line 1, column 8", "key" },
        { "{\"a\":1,\n\"b\":2,\"a\":3}", "line 2, column 9", "twice: a" },
        { "{\"a\":{\"k\":1,\"k\":2}}", "line 1, column 15", "twice: k" },
        { "[01]", "line 1", "" },
        { "[1.]", "line 1", "decimal point" },
        { "[+1]", "line 1", "" },
        { "[NaN]", "line 1", "" },
        { "[\"a\nb\"]", "line 1", "inside string" },
        { "[\"\\u0000\"]", "line 1", "NUL" },
        { "{\"\\u0000\":1}", "line 1", "NUL" },
        { "[\"\xff\"]", "line 1", "UTF8" },
        { "[\"\xed\xa0\x80\"]", "line 1", "UTF-8" },
        { "/* c */ 1", "line 1", "comment" },
        { "\xef\xbb\xbf[1]", "line 1", "" },
        { "tru", "line 1", "" },
        { "[}", "line 1", "" },
    };
    for (size_t i = 0; i < ARRAY_SIZE(cases); i++) {
        struct json *root;
        struct error err = { 0 };
        assert_int_equal(json_parse(cases[i].text, strlen(cases[i].text), &root, &err), ERROR_DATA);
        assert_null(root);
        if (!strstr(err.message, cases[i].place) || !strstr(err.message, cases[i].reason))
            fail_msg("%s gives: %s", cases[i].text, err.message);
    }
}

static void depth_is_limited(void **state)
{
    (void)state;
    char text[131];
    struct json *root;
    struct error err = { 0 };
    memset(text, '[', 65);
    memset(text + 65, ']', 65);
    assert_int_equal(json_parse(text + 1, 128, &root, &err), 0);
    json_release(root);
    assert_int_equal(json_parse(text, 130, &root, &err), ERROR_DATA);
    assert_non_null(strstr(err.message, "64 deep"));
}

/* A venue lists thousands of instruments in one object: lookups and the check for repeats go
 * another way there. */
static void large_objects_are_searched_and_checked(void **state)
{
    (void)state;
    enum { MEMBERS = 5000 };
    struct text text;
    text_init(&text, 1 << 20);
    text_add(&text, "{");
    for (int i = 0; i < MEMBERS; i++)
        text_printf(&text, "%s\"k%d\":[%d]", i ? "," : "", (i * 7919) % MEMBERS, i);
    text_add(&text, "}");
    struct json *root = parse(text.data);
    assert_int_equal(json_count(root), MEMBERS);
    for (int i = 0; i < MEMBERS; i++) {
        char key[16], number[16];
        snprintf(key, sizeof(key), "k%d", (i * 7919) % MEMBERS);
        snprintf(number, sizeof(number), "%d", i);
        assert_string_equal(json_key_at(root, (size_t)i), key); /* the document's order */
        assert_string_equal(json_as_number_text(json_at(json_get(root, key), 0)), number);
    }
    assert_null(json_get(root, "k5000"));
    json_release(root);

    text.length--;
    text_add(&text, ",\n\"k77\":0}");
    struct error err = { 0 };
    assert_int_equal(json_parse(text.data, text.length, &root, &err), ERROR_DATA);
    assert_non_null(strstr(err.message, "line 2, column 5"));
    assert_non_null(strstr(err.message, "twice: k77"));
    text_release(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(documents_are_written_in_call_order),
        cmocka_unit_test(one_writer_makes_many_lines),
        cmocka_unit_test(pretty_documents_read_back),
        cmocka_unit_test(nothing_from_outside_breaks_a_document),
        cmocka_unit_test(a_document_becomes_a_tree),
        cmocka_unit_test(wrong_questions_get_nothing),
        cmocka_unit_test(single_values_are_documents),
        cmocka_unit_test(faults_are_refused_with_their_place),
        cmocka_unit_test(depth_is_limited),
        cmocka_unit_test(large_objects_are_searched_and_checked),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
