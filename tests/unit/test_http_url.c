/*
 * url: base URLs in one spelling, what is refused and with which words, loopback, lists of replicas;
 * and which host a no_proxy list names.
 */
#include "core/buffer.h"
#include "core/memory.h"
#include "http/environment.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void expect_normal(const char *base, const char *expected)
{
    char *url = NULL;
    inf_error err = {0};

    if (url_normalize(&url, base, &err) != INF_OK)
        fail_msg("%s: %s", base, err.message);
    assert_string_equal(url, expected);
    mem_free(url);
}

static void expect_refused(const char *text)
{
    struct url u;
    inf_error err = {0};

    if (url_parse(&u, text, &err) == INF_OK)
        fail_msg("'%s' was taken", text);
    assert_int_equal(err.code, INF_ERROR_INVALID_ARGUMENT);
    assert_non_null(strstr(err.message, "http://host:8100/v1"));
}

static void test_url__base__normalised(void **state)
{
    (void)state;
    expect_normal("http://localhost:8100/v1", "http://localhost:8100/v1");
    expect_normal("http://localhost:8100/v1///", "http://localhost:8100/v1");
    expect_normal("HTTP://LocalHost:8100/V1/", "http://localhost:8100/V1");
    expect_normal("http://host:80", "http://host");
    expect_normal("https://host:443/", "https://host");
    expect_normal("https://host:80/", "https://host:80");
    expect_normal("http://host:/v1", "http://host/v1");
    expect_normal("http://[::1]:8100/v1/", "http://[::1]:8100/v1");
    expect_normal("http://[2001:DB8::1]", "http://[2001:db8::1]");
    expect_normal("https://User:Pass@Host/v1", "https://User:Pass@host/v1");
}

static void test_url__no_http_url__refused_with_an_example(void **state)
{
    static const char *const bad[] = {
        "",
        "localhost:8100",
        "ftp://host/",
        "file:///etc/passwd",
        "http://",
        "http:///v1",
        "http://:80/",
        "http://host:0/",
        "http://host:65536/",
        "http://host:80x/",
        "http://host:-1/",
        "http://ho st/",
        "http://host/a b",
        "http://host/\r\nX: y",
        "http://host\\v1",
        "http://h\xc3\xb6st/",
        "http://[::1/",
        "http://[::1]x/",
        "http://[1.2.3.4]/",
        "http://[fe80::1%eth0]/",
        "http://127.1/",
        "http://0x7f.0.0.1/",
        "http://1.2.3.0x4/",
        "http://2130706433/",
        "http://256.1.1.1/",
        "http://*/",
        "http://a,b/",
    };
    char *text = malloc(URL_MAX + 2);

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        expect_refused(bad[i]);
    memset(text, 'a', URL_MAX + 1);
    memcpy(text, "http://h/", 9);
    text[URL_MAX + 1] = '\0';
    expect_refused(text);
    free(text);
}

static void test_url__refused__the_password_is_not_in_the_message(void **state)
{
    struct url u;
    inf_error err = {0};

    (void)state;
    url_parse(&u, "http://me:secret@ho st/?key=secret", &err);
    assert_null(strstr(err.message, "secret"));
    url_parse(&u, "me:secret@host", &err);
    assert_null(strstr(err.message, "secret"));
}

static void test_url__base_with_a_query_or_fragment__refused(void **state)
{
    char *url = NULL;
    inf_error err = {0};

    (void)state;
    assert_int_equal(url_normalize(&url, "http://h/v1?key=secret", &err),
                     INF_ERROR_INVALID_ARGUMENT);
    assert_null(strstr(err.message, "secret"));
    assert_int_equal(url_normalize(&url, "http://h/#x", &err), INF_ERROR_INVALID_ARGUMENT);
    assert_int_equal(url_normalize(&url, "http://h?", &err), INF_ERROR_INVALID_ARGUMENT);
}

static void test_url__parse__pieces_point_into_the_text(void **state)
{
    struct url u;

    (void)state;
    assert_int_equal(url_parse(&u, "https://a:b@c@Host.example:8443/x?y#z", NULL), INF_OK);
    assert_true(u.tls);
    assert_memory_equal(u.user, "a:b@c", u.user_len);
    assert_int_equal(u.user_len, 5);
    assert_int_equal(u.host_len, strlen("Host.example"));
    assert_memory_equal(u.host, "Host.example", u.host_len);
    assert_int_equal(u.port, 8443);
    assert_string_equal(u.path, "/x?y#z");
    assert_false(u.literal);
    assert_int_equal(url_parse(&u, "http://[::1]", NULL), INF_OK);
    assert_true(u.literal);
    assert_int_equal(u.port, 80);
    assert_false(u.has_port);
    assert_int_equal(url_parse(&u, "http://10.0.0.1:1", NULL), INF_OK);
    assert_true(u.literal);
}

static void test_url__paths__joined_told_and_taken_off(void **state)
{
    char *joined = url_join("http://h/v1", "/chat/completions");
    char *root = url_without("http://h/v1", "/v1");
    char *same = url_without("http://h", "/v1");

    (void)state;
    assert_string_equal(joined, "http://h/v1/chat/completions");
    assert_string_equal(root, "http://h");
    assert_string_equal(same, "http://h");
    assert_true(url_ends_in("http://h/api/v1", "/v1"));
    assert_false(url_ends_in("http://h/v1/x", "/v1"));
    assert_false(url_ends_in("http://v1", "/v1"));
    mem_free(joined);
    mem_free(root);
    mem_free(same);
}

static void test_url__loopback__told_by_name_and_address(void **state)
{
    static const char *const yes[] = {"http://localhost:8100/v1",  "http://LOCALHOST",
                                      "http://vllm.localhost",     "http://127.0.0.1",
                                      "https://127.9.8.7:1/",      "http://[::1]/v1",
                                      "http://[::ffff:127.0.0.1]", "http://0.0.0.0:8100/v1",
                                      "http://[::]:8100/v1",       "http://[::ffff:0.0.0.0]"};
    static const char *const no[] = {"http://notlocalhost",
                                     "http://localhost.example",
                                     "http://128.0.0.1",
                                     "http://[::2]",
                                     "http://10.0.0.1",
                                     "http://[::ffff:10.0.0.1]",
                                     "http://0.0.0.1",
                                     "http://localhost@example.org",
                                     "nonsense"};

    (void)state;
    for (size_t i = 0; i < sizeof yes / sizeof *yes; i++)
        if (!url_is_loopback(yes[i]))
            fail_msg("%s is loopback", yes[i]);
    for (size_t i = 0; i < sizeof no / sizeof *no; i++)
        if (url_is_loopback(no[i]))
            fail_msg("%s is not loopback", no[i]);
}

static void test_url__display__without_secrets_and_cut(void **state)
{
    char out[64];
    char small[12];

    (void)state;
    assert_string_equal(url_display(out, sizeof out, "https://me:pw@h:1/a/b?key=x#y"),
                        "https://h:1/a/b");
    assert_string_equal(url_display(out, sizeof out, "http://h/a@b"), "http://h/a@b");
    assert_string_equal(url_display(small, sizeof small, "http://host/path"), "http://host");
}

static void test_url_list__commas__each_trimmed_and_normalised(void **state)
{
    struct url_list list;

    (void)state;
    assert_int_equal(url_list_parse(&list, " http://a:1/v1/ ,\thttp://b:2/v1", NULL), INF_OK);
    assert_int_equal(list.n, 2);
    assert_string_equal(list.urls[0], "http://a:1/v1");
    assert_string_equal(list.urls[1], "http://b:2/v1");
    url_list_free(&list);
    assert_int_equal(url_list_parse(&list, "http://a", NULL), INF_OK);
    assert_int_equal(list.n, 1);
    url_list_free(&list);
    assert_int_equal(mem_live(), 0);
}

static void test_url_list__empty_double_or_wrong__refused_and_freed(void **state)
{
    static const char *const bad[] = {"",
                                      ",",
                                      "http://a,",
                                      ",http://a",
                                      "http://a,,http://b",
                                      "http://a/,http://A",
                                      "http://a,nonsense"};
    struct url_list list;
    inf_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        if (url_list_parse(&list, bad[i], &err) == INF_OK)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(err.code, INF_ERROR_INVALID_ARGUMENT);
        assert_int_equal(mem_live(), 0);
    }
}

static void test_url_list__the_same_server_in_another_spelling__refused(void **state)
{
    static const char *const same[] = {
        "http://a:8100,http://a:8100/v1",
        "http://a:8100/v1/,http://a:8100",
        "http://a/v1,http://A:80",
        "https://a,https://a:443/v1//",
        "http://me:pw@a/v1,http://a/v1",
        "http://a.,http://a",
        "http://[::1]/v1,http://[0:0:0:0:0:0:0:1]",
        "http://a/x/v1,http://b,http://a/x",
    };
    static const char *const different[] = {
        "http://a,https://a",           "http://a:1/v1,http://a:2/v1",
        "http://a/x/v1,http://a/y/v1",  "http://a/V1,http://a/v1",
        "http://a,http://a.b",          "http://a/xv1,http://a/x",
        "http://127.0.0.1,http://[::1]"};
    struct url_list list;
    inf_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        if (url_list_parse(&list, same[i], &err) == INF_OK)
            fail_msg("'%s' was taken", same[i]);
        assert_non_null(strstr(err.message, "twice"));
        assert_null(strstr(err.message, "pw"));
    }
    for (size_t i = 0; i < sizeof different / sizeof *different; i++) {
        if (url_list_parse(&list, different[i], &err) != INF_OK)
            fail_msg("'%s': %s", different[i], err.message);
        url_list_free(&list);
    }
    assert_int_equal(mem_live(), 0);
}

static void test_url_list__more_than_the_limit__refused(void **state)
{
    struct buffer b;
    struct url_list list;

    (void)state;
    buffer_init(&b, BUFFER_NO_LIMIT);
    for (int i = 0; i <= URL_LIST_MAX; i++)
        buffer_printf(&b, "%shttp://h:%d", i ? "," : "", i + 1);
    assert_int_equal(url_list_parse(&list, b.data, NULL), INF_ERROR_INVALID_ARGUMENT);
    buffer_free(&b);
    assert_int_equal(mem_live(), 0);
}

static bool excluded(const char *list, const char *host)
{
    return environment_excluded(list, host, strlen(host));
}

static void test_no_proxy__names__match_themselves_and_what_is_below(void **state)
{
    (void)state;
    assert_true(excluded("example.org", "example.org"));
    assert_true(excluded("example.org", "a.EXAMPLE.org"));
    assert_true(excluded(".example.org", "example.org"));
    assert_true(excluded("x, example.org ,y", "www.example.org."));
    assert_true(excluded("*", "anything"));
    assert_false(excluded("example.org", "notexample.org"));
    assert_false(excluded("example.org", "example.org.evil"));
    assert_false(excluded("", "example.org"));
    assert_false(excluded(NULL, "example.org"));
    assert_false(excluded("*.org", "example.org"));
}

static void test_no_proxy__addresses__match_exactly_or_by_network(void **state)
{
    (void)state;
    assert_true(excluded("127.0.0.1", "127.0.0.1"));
    assert_true(excluded("10.0.0.0/8", "10.200.3.4"));
    assert_true(excluded("192.168.0.0/23", "192.168.1.9"));
    assert_true(excluded("::1", "::1"));
    assert_true(excluded("[::1]", "::1"));
    assert_true(excluded("fd00::/8", "fd12::1"));
    assert_false(excluded("192.168.0.0/23", "192.168.2.9"));
    assert_false(excluded("127.0.0.1", "127.0.0.2"));
    assert_false(excluded("10.0.0.0/33", "10.0.0.1"));
    assert_false(excluded("0.0.0.1", "127.0.0.1"));
}

static void clear_environment(void)
{
    static const char *const all[] = {
        "http_proxy", "https_proxy", "HTTPS_PROXY",   "HTTP_PROXY",   "all_proxy",     "ALL_PROXY",
        "no_proxy",   "NO_PROXY",    "SSL_CERT_FILE", "SSL_CERT_DIR", "CURL_CA_BUNDLE"};

    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        unsetenv(all[i]);
}

static int32_t find_proxy(const struct proxy **out, const struct environment *e, const char *url,
                          inf_error *err)
{
    struct url u;

    assert_int_equal(url_parse(&u, url, NULL), INF_OK);
    return environment_proxy(out, e, &u, err);
}

static const char *proxy_of(const struct environment *e, const char *url)
{
    const struct proxy *p = NULL;

    assert_int_equal(find_proxy(&p, e, url, NULL), INF_OK);
    return p->url;
}

static void test_environment__proxies__by_scheme_and_exclusion(void **state)
{
    struct environment e;

    (void)state;
    clear_environment();
    setenv("http_proxy", "me:pw@proxy.example:3128", 1);
    setenv("HTTPS_PROXY", "socks5://10.0.0.9", 1);
    setenv("HTTP_PROXY", "http://evil.example:1", 1);
    setenv("NO_PROXY", "localhost,127.0.0.1", 1);
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_string_equal(proxy_of(&e, "http://h/"), "me:pw@proxy.example:3128");
    assert_string_equal(e.http.host, "proxy.example");
    assert_int_equal(e.http.port, 3128);
    assert_string_equal(e.http.self, "http://proxy.example:3128/");
    assert_null(e.https.self);
    assert_string_equal(proxy_of(&e, "https://h/"), "socks5://10.0.0.9");
    assert_string_equal(e.https.host, "");
    assert_int_equal(e.https.port, 1080);
    assert_true(e.https.local_lookup);
    assert_null(proxy_of(&e, "http://localhost:8100/v1"));
    environment_free(&e);
    setenv("http_proxy", "http://[::1]", 1);
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_string_equal(e.http.self, "http://[::1]:1080/");
    environment_free(&e);
    clear_environment();
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_null(proxy_of(&e, "http://h/"));
    environment_free(&e);
    assert_int_equal(mem_live(), 0);
}

static void test_environment__proxy_that_is_none__named_without_its_secret(void **state)
{
    static const char *const bad[] = {"gopher://me:secret@h", "http://me:secret@ho st",
                                      "://secret"};
    const struct proxy *p = NULL;
    struct environment e;
    inf_error err = {0};

    (void)state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        clear_environment();
        setenv("http_proxy", bad[i], 1);
        assert_int_equal(environment_read(&e, &err), INF_OK);
        assert_int_equal(find_proxy(&p, &e, "http://h/", &err), INF_ERROR_INVALID_ARGUMENT);
        assert_non_null(strstr(err.message, "http_proxy"));
        assert_null(strstr(err.message, "secret"));
        environment_free(&e);
    }
    clear_environment();
    assert_int_equal(mem_live(), 0);
}

static void test_environment__proxy_that_is_none__matters_to_who_needs_it_only(void **state)
{
    const struct proxy *p = NULL;
    struct environment e;

    (void)state;
    clear_environment();
    setenv("http_proxy", "nonsense nonsense", 1);
    setenv("https_proxy", "http://proxy:3128", 1);
    setenv("no_proxy", "localhost,10.0.0.0/8", 1);
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_null(proxy_of(&e, "http://localhost:8100/v1"));
    assert_null(proxy_of(&e, "http://10.1.2.3/"));
    assert_string_equal(proxy_of(&e, "https://h/"), "http://proxy:3128");
    assert_int_equal(find_proxy(&p, &e, "http://h/", NULL), INF_ERROR_INVALID_ARGUMENT);
    environment_free(&e);
    clear_environment();
}

static void test_environment__certificates__the_bundle_comes_first(void **state)
{
    struct environment e;

    (void)state;
    clear_environment();
    setenv("SSL_CERT_FILE", "/a", 1);
    setenv("SSL_CERT_DIR", "/b", 1);
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_string_equal(e.ca_file, "/a");
    assert_string_equal(e.ca_folder, "/b");
    environment_free(&e);
    setenv("CURL_CA_BUNDLE", "/c", 1);
    assert_int_equal(environment_read(&e, NULL), INF_OK);
    assert_string_equal(e.ca_file, "/c");
    assert_null(e.ca_folder);
    environment_free(&e);
    clear_environment();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_url__base__normalised),
        cmocka_unit_test(test_url__no_http_url__refused_with_an_example),
        cmocka_unit_test(test_url__refused__the_password_is_not_in_the_message),
        cmocka_unit_test(test_url__base_with_a_query_or_fragment__refused),
        cmocka_unit_test(test_url__parse__pieces_point_into_the_text),
        cmocka_unit_test(test_url__paths__joined_told_and_taken_off),
        cmocka_unit_test(test_url__loopback__told_by_name_and_address),
        cmocka_unit_test(test_url__display__without_secrets_and_cut),
        cmocka_unit_test(test_url_list__commas__each_trimmed_and_normalised),
        cmocka_unit_test(test_url_list__empty_double_or_wrong__refused_and_freed),
        cmocka_unit_test(test_url_list__the_same_server_in_another_spelling__refused),
        cmocka_unit_test(test_url_list__more_than_the_limit__refused),
        cmocka_unit_test(test_no_proxy__names__match_themselves_and_what_is_below),
        cmocka_unit_test(test_no_proxy__addresses__match_exactly_or_by_network),
        cmocka_unit_test(test_environment__proxies__by_scheme_and_exclusion),
        cmocka_unit_test(test_environment__proxy_that_is_none__named_without_its_secret),
        cmocka_unit_test(test_environment__proxy_that_is_none__matters_to_who_needs_it_only),
        cmocka_unit_test(test_environment__certificates__the_bundle_comes_first),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
