/* Closed-loop requests over TLS, keep-alive.
 *
 *   tls --target tcp:127.0.0.1:8443 --request FILE --connections 32 --seconds 3
 *       [--warmup 0.5]
 *
 * Each connection shakes hands once, before anything is measured. Prints the same
 * JSON object as `load`. Link with -lssl -lcrypto.
 */
#include "client.h"

#include <getopt.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>

struct connection {
    int fd;
    SSL *ssl;
    int64_t started;
    struct response response;
};

static struct target target;
static SSL_CTX *context;
static char *request;
static size_t request_length;
static uint64_t done, total, errors, received, connects, moved;
static struct histogram histogram;
static int64_t measure_from;

/* Shaking hands and sending wait for the socket: they are never the measure. */
static void wait_for(struct connection *c, int result) {
    int why = SSL_get_error(c->ssl, result);
    struct pollfd one = {.fd = c->fd, .events = why == SSL_ERROR_WANT_WRITE ? POLLOUT : POLLIN};
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_WANT_WRITE) die("TLS failed");
    poll(&one, 1, 5000);
}

static void open_connection(struct connection *c) {
    int result;
    c->fd = start_connect(&target, 0);
    if (c->fd < 0) die("connect: %s", strerror(errno));
    c->ssl = SSL_new(context);
    SSL_set_fd(c->ssl, c->fd);
    while ((result = SSL_connect(c->ssl)) != 1) wait_for(c, result);
    connects++;
}

static void begin(struct connection *c, int64_t at) {
    int result;
    c->started = at;
    response_reset(&c->response);
    while ((result = SSL_write(c->ssl, request, (int)request_length)) <= 0) wait_for(c, result);
}

static void close_connection(struct connection *c) {
    SSL_free(c->ssl);
    close(c->fd);
}

static void finish(struct connection *c, int64_t at) {
    if (c->response.status != 200) {
        errors++;
    } else {
        total++;
        if (at >= measure_from) {
            done++;
            record(&histogram, at - c->started);
        }
    }
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"target", 1, 0, 't'},  {"request", 1, 0, 'r'}, {"connections", 1, 0, 'c'},
        {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'w'},  {0, 0, 0, 0}};
    static char buffer[1 << 17];
    int connections = 32, option;
    double seconds = 3, warmup = 0.5;
    const char *where = NULL;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': where = optarg; break;
        case 'r': request = read_file(optarg, &request_length); break;
        case 'c': connections = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'w': warmup = atof(optarg); break;
        default: return 2;
        }
    }
    if (!where || !request) die("--target and --request are needed");
    target = parse_target(where);
    context = SSL_CTX_new(TLS_client_method());
    int epoll_fd = epoll_create1(0);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    for (int i = 0; i < connections; i++) {
        open_connection(&all[i]);
        struct epoll_event event = {.events = EPOLLIN, .data.ptr = &all[i]};
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, all[i].fd, &event);
    }
    int64_t at = now_us(), end;
    measure_from = at + (int64_t)(warmup * 1e6);
    end = measure_from + (int64_t)(seconds * 1e6);
    for (int i = 0; i < connections; i++) begin(&all[i], at);
    struct epoll_event events[256];
    while (at < end) {
        int n = epoll_wait(epoll_fd, events, 256, 50);
        at = now_us();
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            int got;
            while (at < end && (got = SSL_read(c->ssl, buffer, sizeof buffer)) > 0) {
                received += (uint64_t)got;
                at = now_us();
                if (at >= measure_from) moved += (uint64_t)got;
                response_feed(&c->response, buffer, (size_t)got);
                if (c->response.framing != DONE) continue;
                finish(c, at);
                if (!c->response.last) {
                    begin(c, at);
                    continue;
                }
                close_connection(c);
                open_connection(c);
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
                begin(c, at);
            }
            if (at >= end || SSL_get_error(c->ssl, got) == SSL_ERROR_WANT_READ) continue;
            errors++;
            close_connection(c);
            open_connection(c);
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
            begin(c, at);
        }
    }
    double measured = (double)(at - measure_from) / 1e6;
    printf("{\"requests\": %llu, \"total\": %llu, \"seconds\": %.4f, \"rate\": %.1f, \"errors\": %llu, "
           "\"connects\": %llu, \"bytes\": %llu, \"moved\": %llu, \"p50_us\": %lld, \"p90_us\": %lld, "
           "\"p99_us\": %lld, \"p999_us\": %lld, \"max_us\": %lld}\n",
           (unsigned long long)done, (unsigned long long)total, measured, (double)done / measured,
           (unsigned long long)errors, (unsigned long long)connects, (unsigned long long)received,
           (unsigned long long)moved, (long long)percentile(&histogram, 0.5),
           (long long)percentile(&histogram, 0.9), (long long)percentile(&histogram, 0.99),
           (long long)percentile(&histogram, 0.999), (long long)histogram.highest);
    return 0;
}
