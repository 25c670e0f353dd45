/* environment: see the header. */
#include "http/environment.h"

#include "core/memory.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <curl/curl.h>

/* ------------------------------------------------------------------ reading */

static const struct {
    const char *scheme;
    uint16_t port;
    bool local_lookup;
} schemes[] = {{"http://", 1080, false},    {"https://", 443, false},  {"socks4://", 1080, true},
               {"socks4a://", 1080, false}, {"socks5://", 1080, true}, {"socks5h://", 1080, false},
               {"socks://", 1080, true}};

/* The proxy's own address, as that of a web server. */
static char *self_of(const char *scheme, const struct url *u, uint16_t port)
{
    bool bare = u->literal && memchr(u->host, ':', u->host_len);
    char text[URL_MAX];

    snprintf(text, sizeof text, "%s%s%.*s%s:%u/", scheme, bare ? "[" : "", (int)u->host_len,
             u->host, bare ? "]" : "", (unsigned)port);
    return mem_strdup(text);
}

/* A value that is no proxy is only noted: most URLs do not need it. */
static int32_t parse_proxy(struct proxy *p, const char *variable, const char *value, inf_error *err)
{
    const char *rest = strstr(value, "://");
    char as_http[URL_MAX];
    struct url u;
    size_t i = 0;

    if (rest) {
        rest += 3;
        while (i < sizeof schemes / sizeof *schemes &&
               strncasecmp(value, schemes[i].scheme, strlen(schemes[i].scheme)) != 0)
            i++;
    } else {
        rest = value;
    }
    p->broken = variable;
    if (i == sizeof schemes / sizeof *schemes || strlen(rest) > sizeof as_http - 16)
        return INF_OK;
    snprintf(as_http, sizeof as_http, "http://%s", rest);
    if (url_parse(&u, as_http, NULL) != INF_OK)
        return INF_OK;
    p->broken = NULL;
    p->port = u.has_port ? u.port : schemes[i].port;
    p->url = mem_strdup(value);
    p->self = schemes[i].scheme[0] == 'h' ? self_of(schemes[i].scheme, &u, p->port) : NULL;
    if (!p->url || (schemes[i].scheme[0] == 'h' && !p->self))
        return error_no_memory(err);
    p->local_lookup = schemes[i].local_lookup;
    if (!u.literal && !url_is_local_name(u.host, u.host_len))
        snprintf(p->host, sizeof p->host, "%.*s", (int)u.host_len, u.host);
    return INF_OK;
}

/* The first of the variables that is set; one that is set to nothing means no proxy. */
static int32_t read_proxy(struct proxy *p, const char *const *variables, inf_error *err)
{
    for (; *variables; variables++) {
        const char *value = getenv(*variables);

        if (value)
            return *value ? parse_proxy(p, *variables, value, err) : INF_OK;
    }
    return INF_OK;
}

static const char *first_set(const char *a, const char *b)
{
    const char *value = getenv(a);

    if (!value || !*value)
        value = b ? getenv(b) : NULL;
    return value && *value ? value : NULL;
}

/* False when there was something to copy and no memory for it. */
static bool copy(char **out, const char *value)
{
    *out = mem_strdup(value);
    return *out || !value;
}

const char *environment_ca_file(const char *own, const char *const *known)
{
    if (own && access(own, R_OK) == 0)
        return own;
    while (*known && access(*known, R_OK) != 0)
        known++;
    return *known;
}

/* NULL: libcurl's own is good, or there is none anywhere. */
static const char *ca_file_elsewhere(void)
{
    static const char *const known[] = {
        "/etc/ssl/certs/ca-certificates.crt",                /* Debian, Ubuntu, Arch, Gentoo */
        "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", /* Fedora, RHEL */
        "/etc/pki/tls/certs/ca-bundle.crt",                  /* older ones of these */
        "/etc/ssl/ca-bundle.pem",                            /* openSUSE */
        "/etc/ssl/cert.pem",                                 /* Alpine, the BSDs, macOS */
        "/var/lib/ca-certificates/ca-bundle.pem",            /* SUSE */
        NULL};
    const curl_version_info_data *curl = curl_version_info(CURLVERSION_NOW);
    const char *own = curl->age >= CURLVERSION_SEVENTH ? curl->cainfo : NULL;
    const char *found = environment_ca_file(own, known);

    return own && found && strcmp(found, own) == 0 ? NULL : found;
}

/* CURL_CA_BUNDLE, else SSL_CERT_FILE and SSL_CERT_DIR, else what the system has. */
static bool read_authorities(struct environment *e)
{
    const char *file = first_set("CURL_CA_BUNDLE", NULL);
    const char *folder = NULL;

    if (!file) {
        file = first_set("SSL_CERT_FILE", NULL);
        folder = first_set("SSL_CERT_DIR", NULL);
        if (!file && !folder)
            file = ca_file_elsewhere();
    }
    return copy(&e->ca_file, file) && copy(&e->ca_folder, folder);
}

int32_t environment_read(struct environment *e, inf_error *err)
{
    /* Not HTTP_PROXY: a CGI program gets that from whoever asks it. */
    static const char *const http[] = {"http_proxy", "all_proxy", "ALL_PROXY", NULL};
    static const char *const https[] = {"https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY",
                                        NULL};
    int32_t code = INF_OK;

    *e = (struct environment){0};
    code = read_proxy(&e->http, http, err);
    if (code == INF_OK)
        code = read_proxy(&e->https, https, err);
    if (code == INF_OK &&
        (!copy(&e->no_proxy, first_set("no_proxy", "NO_PROXY")) || !read_authorities(e)))
        code = error_no_memory(err);
    if (code != INF_OK)
        environment_free(e);
    return code;
}

void environment_free(struct environment *e)
{
    mem_free(e->http.url);
    mem_free(e->http.self);
    mem_free(e->https.url);
    mem_free(e->https.self);
    mem_free(e->no_proxy);
    mem_free(e->ca_file);
    mem_free(e->ca_folder);
    *e = (struct environment){0};
}

/* ------------------------------------------------------------------ no_proxy */

/* "10.0.0.0/8", "fd00::/8", or an address alone: does it hold this one? */
static bool address_matches(const char *entry, size_t n, int family, const unsigned char *address)
{
    char text[INET6_ADDRSTRLEN + 8];
    unsigned char net[16];
    size_t bytes = family == AF_INET ? 4 : 16;
    unsigned long bits = bytes * 8;
    char *slash = NULL;
    unsigned char mask = 0;

    if (n > 1 && entry[0] == '[' && entry[n - 1] == ']') {
        entry++;
        n -= 2;
    }
    if (n == 0 || n >= sizeof text)
        return false;
    memcpy(text, entry, n);
    text[n] = '\0';
    slash = strchr(text, '/');
    if (slash) {
        char *end = NULL;

        *slash = '\0';
        bits = strtoul(slash + 1, &end, 10);
        if (slash[1] == '\0' || *end || bits > bytes * 8)
            return false;
    }
    if (inet_pton(family, text, net) != 1 || memcmp(net, address, bits / 8) != 0)
        return false;
    mask = (unsigned char)(0xff00u >> (bits % 8));
    return bits % 8 == 0 || ((net[bits / 8] ^ address[bits / 8]) & mask) == 0;
}

/* "example.org" and ".example.org": that name and everything below it. */
static bool name_matches(const char *entry, size_t n, const char *host, size_t host_len)
{
    while (n > 0 && *entry == '.') {
        entry++;
        n--;
    }
    while (n > 0 && entry[n - 1] == '.')
        n--;
    while (host_len > 0 && host[host_len - 1] == '.')
        host_len--;
    if (n == 0 || n > host_len || strncasecmp(entry, host + host_len - n, n) != 0)
        return false;
    return n == host_len || host[host_len - n - 1] == '.';
}

bool environment_excluded(const char *no_proxy, const char *host, size_t n)
{
    unsigned char address[16];
    int family = url_address(host, n, address);

    for (const char *p = no_proxy ? no_proxy : ""; *p;) {
        size_t length = strcspn(p, ", \t");

        if (length == 1 && *p == '*')
            return true;
        if (family ? address_matches(p, length, family, address) : name_matches(p, length, host, n))
            return true;
        p += length;
        p += strspn(p, ", \t");
    }
    return false;
}

const struct proxy no_proxy_at_all = {0};

int32_t environment_proxy(const struct proxy **out, const struct environment *e,
                          const struct url *u, inf_error *err)
{
    const struct proxy *p = u->tls ? &e->https : &e->http;

    *out = &no_proxy_at_all;
    if (environment_excluded(e->no_proxy, u->host, u->host_len))
        return INF_OK;
    if (p->broken)
        return error_set(err, INF_ERROR_INVALID_ARGUMENT,
                         "%s: not a proxy; it should look like http://host:3128, or name the host "
                         "%.*s in no_proxy",
                         p->broken, (int)u->host_len, u->host);
    if (p->url)
        *out = p;
    return INF_OK;
}
