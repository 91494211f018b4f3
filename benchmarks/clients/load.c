/* Closed- and open-loop request load.
 *
 *   load --target tcp:127.0.0.1:8000 --request FILE [--request FILE …]
 *        --connections 64 --seconds 3 [--warmup 0.5] [--close] [--rate 20000]
 *        [--body 1000000000]
 *
 * FILE holds the bytes of one request, whatever the protocol: an HTTP request or a
 * uwsgi packet. Several are sent in turn. A response ends where HTTP's framing says, or with the connection.
 * With --close each request has a connection of its own; otherwise a connection is
 * used until the peer announces its end. With --rate requests start at fixed moments
 * and latency counts from that moment, so a stalled server cannot hide behind the
 * requests that were never sent. --body sends as many zeros behind each request; a
 * connection that uploads keeps the others waiting, so one is enough. Prints one JSON
 * object; `moved` are the bytes sent and received while it was measured.
 */
#include "client.h"

#include <getopt.h>

struct connection {
    int fd;
    int busy;
    int64_t started;
    struct response response;
};

static struct target target;
#define MOST_REQUESTS 64
static struct {
    char *bytes;
    size_t length;
} requests[MOST_REQUESTS];
static unsigned request_count, turn;
static int close_each, epoll_fd;
static double rate;
static uint64_t done, total, errors, received, connects, moved, body;
static struct histogram histogram;
static int64_t measure_from, measure_to;

static void count_moved(uint64_t bytes, int64_t at) {
    if (at >= measure_from && at <= measure_to) moved += bytes;
}

static void disconnect(struct connection *c) {
    close(c->fd);
    c->fd = -1;
}

/* Short connections come from 16 source addresses in turn: one address would run out of
 * ports in TIME_WAIT. */
static void open_connection(struct connection *c) {
    for (int attempt = 0; attempt < 1000; attempt++) {
        c->fd = start_connect(&target, close_each ? (int)(connects % 16) + 1 : 0);
        if (c->fd >= 0) break;
        if (errno != EAGAIN && errno != ECONNREFUSED) die("connect: %s", strerror(errno));
        errors++;
        usleep(500); /* a full backlog */
    }
    if (c->fd < 0) die("connect: %s", strerror(errno));
    connects++;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event) < 0) die("epoll_ctl: %s", strerror(errno));
}

static int send_body(struct connection *c) {
    static char zeros[1 << 18];
    uint64_t left = body;
    while (left) {
        size_t piece = left < sizeof zeros ? (size_t)left : sizeof zeros;
        if (send_all(c->fd, zeros, piece) < 0) return -1;
        left -= piece;
        int64_t at = now_us();
        count_moved(piece, at);
        if (at > measure_to) return 0; /* enough; the rest is never sent */
    }
    return 0;
}

/* Loopback connects at once, so a fresh connection takes the request without waiting. */
static void send_request(struct connection *c) {
    unsigned which = turn++ % request_count;
    while (send_all(c->fd, requests[which].bytes, requests[which].length) < 0 || send_body(c) < 0) {
        errors++;
        disconnect(c);
        usleep(500);
        open_connection(c);
    }
}

static void begin(struct connection *c, int64_t scheduled) {
    if (c->fd < 0) open_connection(c);
    c->busy = 1;
    c->started = scheduled;
    response_reset(&c->response);
    send_request(c);
}

static void finish(struct connection *c, int64_t at) {
    c->busy = 0;
    if (c->response.status != 200) {
        errors++;
    } else {
        total++;
        if (at >= measure_from) {
            done++;
            record(&histogram, at - c->started);
        }
    }
    if (close_each || c->response.last || c->response.framing == UNTIL_EOF) disconnect(c);
}

static void readable(struct connection *c, int64_t at) {
    static char buffer[1 << 18];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        if (!c->busy) { /* an idle connection that the peer closed */
            disconnect(c);
            return;
        }
        if (n < 0 || c->response.framing != UNTIL_EOF) c->response.status = 0;
        c->response.last = 1;
        finish(c, at);
    } else {
        received += (uint64_t)n;
        count_moved((uint64_t)n, at);
        response_feed(&c->response, buffer, (size_t)n);
        if (c->response.framing != DONE) return;
        finish(c, at);
    }
    if (!rate) begin(c, at);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"target", 1, 0, 't'}, {"request", 1, 0, 'r'}, {"connections", 1, 0, 'c'},
        {"seconds", 1, 0, 's'}, {"warmup", 1, 0, 'w'}, {"close", 0, 0, 'x'},
        {"rate", 1, 0, 'R'},   {"body", 1, 0, 'b'},    {0, 0, 0, 0}};
    int connections = 64, option;
    double seconds = 3, warmup = 0.5;
    const char *where = NULL;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': where = optarg; break;
        case 'r':
            if (request_count == MOST_REQUESTS) die("more than %d requests", MOST_REQUESTS);
            requests[request_count].bytes = read_file(optarg, &requests[request_count].length);
            request_count++;
            break;
        case 'c': connections = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 'x': close_each = 1; break;
        case 'R': rate = atof(optarg); break;
        case 'b': body = strtoull(optarg, NULL, 10); break;
        default: return 2;
        }
    }
    if (!where || !request_count) die("--target and --request are needed");
    target = parse_target(where);
    epoll_fd = epoll_create1(0);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    int64_t start = now_us(), end;
    measure_from = start + (int64_t)(warmup * 1e6);
    end = measure_to = measure_from + (int64_t)(seconds * 1e6);
    for (int i = 0; i < connections; i++) {
        all[i].fd = -1;
        if (!rate) begin(&all[i], now_us());
    }
    uint64_t issued = 0;
    int next = 0;
    int64_t at = now_us();
    struct epoll_event events[256];
    while (at < end) {
        int timeout = 50;
        if (rate) {
            while (start + (int64_t)((double)issued * 1e6 / rate) <= at) {
                int tried = 0;
                while (all[next].busy && tried++ < connections) next = (next + 1) % connections;
                if (all[next].busy) break; /* all busy: this one starts late and says so */
                begin(&all[next], start + (int64_t)((double)issued * 1e6 / rate));
                next = (next + 1) % connections;
                issued++;
            }
            timeout = 0;
        }
        int n = epoll_wait(epoll_fd, events, 256, timeout);
        at = now_us();
        for (int i = 0; i < n; i++) readable(events[i].data.ptr, at);
    }
    double measured = (double)(at - measure_from) / 1e6;
    printf("{\"requests\": %llu, \"total\": %llu, \"seconds\": %.4f, \"rate\": %.1f, \"errors\": %llu, "
           "\"connects\": %llu, \"bytes\": %llu, \"moved\": %llu, \"p50_us\": %lld, \"p90_us\": %lld, "
           "\"p99_us\": %lld, \"p999_us\": %lld, \"max_us\": %lld}\n",
           (unsigned long long)done, (unsigned long long)total, measured, (double)done / measured,
           (unsigned long long)errors, (unsigned long long)connects,
           (unsigned long long)received, (unsigned long long)moved,
           (long long)percentile(&histogram, 0.5),
           (long long)percentile(&histogram, 0.9), (long long)percentile(&histogram, 0.99),
           (long long)percentile(&histogram, 0.999), (long long)histogram.highest);
    return 0;
}
