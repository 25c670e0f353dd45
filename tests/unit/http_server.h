/*
 * http_server: a scripted HTTP/1.1 server on loopback, for the client's tests. A thread a
 * connection; each request goes to the test's handler, which writes what it likes to the socket.
 */
#ifndef TEST_HTTP_SERVER_H
#define TEST_HTTP_SERVER_H

#include <stdbool.h>
#include <stddef.h>

struct http_server;
struct server_conn;

struct server_request {
    char method[16];
    char path[256];
    const char *head; /* everything before the empty line, NUL-terminated */
    const char *body;
    size_t body_len;
    int on_connection; /* the how manieth request of its connection, from 1 */
    int number;        /* ... of the server, from 1 */
};

/* Returns whether the connection goes on. */
typedef bool (*server_handler)(struct server_conn *conn, const struct server_request *request,
                               void *arg);

struct http_server *server_start(server_handler handler, void *arg);
/* Ends connections that are still open, waits for every handler, frees. */
void server_stop(struct http_server *s);
int server_port(const struct http_server *s);
/* "http://127.0.0.1:PORT" + path, into a buffer of its own that lives as long as the server; four
 * at most are alive at once. */
const char *server_url(struct http_server *s, const char *path);
int server_connections(const struct http_server *s);
int server_requests(const struct http_server *s);
/* Waits until n connections are over (true) or 5 s passed. */
bool server_wait_closed(struct http_server *s, int n);
/* Stops accepting; what is open goes on. */
void server_stop_accepting(struct http_server *s);

void conn_send(struct server_conn *c, const char *bytes, size_t n);
void conn_say(struct server_conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A whole answer with Content-Length. */
void conn_answer(struct server_conn *c, int status, const char *headers, const char *body);
/* The head of a chunked text/event-stream, and chunks of it. */
void conn_begin_stream(struct server_conn *c);
void conn_chunk(struct server_conn *c, const char *text);
void conn_end_stream(struct server_conn *c);
/* RST instead of FIN. */
void conn_reset(struct server_conn *c);
/* Waits until the client closes (true) or ms passed. Bytes that come are dropped. */
bool conn_wait_closed(struct server_conn *c, int ms);
void sleep_ms(int ms);

#endif
