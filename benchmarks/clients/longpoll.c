/* Holds N long polls, then wakes them all.
 *
 *   longpoll --target tcp:127.0.0.1:8000 --hold FILE --count FILE --wake FILE
 *            --connections 10000
 *
 * Sends the request in --hold over each connection, asks with --count until the
 * application says that it holds all of them, prints {"held": …} and waits for a line
 * on standard input (the caller measures memory meanwhile). Then sends --wake once and
 * prints how long it took until every held request was answered. While they come it
 * never sleeps: the server would pay for waking this core with each of its answers.
 */
#include "client.h"

#include <getopt.h>
#include <sys/resource.h>

struct connection {
    int fd;
    int connected, ended;
    struct response response;
};

static struct target target;
static char *hold, *count, *wake;
static size_t hold_length, count_length, wake_length;
static char buffer[1 << 18];

/* One whole request over a connection of its own; the body is a number. */
static long ask(const char *bytes, size_t length) {
    struct target to = target;
    char text[4096];
    size_t got = 0;
    int fd = socket(to.address.ss_family, SOCK_STREAM, 0);
    if (connect(fd, (struct sockaddr *)&to.address, to.length) < 0) die("connect: %s", strerror(errno));
    if (send_all(fd, bytes, length) < 0) die("send: %s", strerror(errno));
    struct response response;
    response_reset(&response);
    while (got < sizeof text - 1) {
        ssize_t n = recv(fd, text + got, sizeof text - 1 - got, 0);
        if (n <= 0) break;
        response_feed(&response, text + got, (size_t)n);
        got += (size_t)n;
        if (response.framing == DONE) break;
    }
    text[got] = 0;
    close(fd);
    char *body = strstr(text, "\r\n\r\n");
    if (!body || response.status != 200) die("no number in: %s", text);
    return strtol(body + 4, NULL, 10);
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"target", 1, 0, 't'}, {"hold", 1, 0, 'h'}, {"count", 1, 0, 'c'}, {"wake", 1, 0, 'w'},
        {"connections", 1, 0, 'n'}, {"patience", 1, 0, 'p'}, {0, 0, 0, 0}};
    long connections = 10000, patience = 60;
    const char *where = NULL;
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': where = optarg; break;
        case 'h': hold = read_file(optarg, &hold_length); break;
        case 'c': count = read_file(optarg, &count_length); break;
        case 'w': wake = read_file(optarg, &wake_length); break;
        case 'n': connections = atol(optarg); break;
        case 'p': patience = atol(optarg); break;
        default: return 2;
        }
    }
    if (!where || !hold || !count || !wake) die("--target, --hold, --count and --wake are needed");
    target = parse_target(where);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    int epoll_fd = epoll_create1(0);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    struct epoll_event events[512];
    long begun = 0, connected = 0;
    int64_t start = now_us(), deadline = start + patience * 1000000;
    while (connected < connections) {
        if (now_us() > deadline) die("only %ld of %ld connected", connected, connections);
        while (begun < connections && begun - connected < 64) {
            struct connection *c = &all[begun];
            /* the kernel looks long for a port where most are taken */
            c->fd = start_connect(&target, (int)(begun / 8000) + 1);
            if (c->fd < 0) {
                if (errno != EAGAIN) die("connect: %s", strerror(errno));
                usleep(1000);
                break;
            }
            struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
            begun++;
        }
        int n = epoll_wait(epoll_fd, events, 512, 100);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (c->connected) {
                ssize_t r = recv(c->fd, buffer, sizeof buffer, 0);
                buffer[r > 0 ? r : 0] = 0;
                die("a poll ended before the wake-up: %.300s", buffer);
            }
            int error = 0;
            socklen_t size = sizeof error;
            getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
            if (error) die("connect: %s", strerror(error));
            if (send_all(c->fd, hold, hold_length) < 0) die("send: %s", strerror(errno));
            struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
            epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
            c->connected = 1;
            response_reset(&c->response);
            connected++;
        }
    }
    long held = 0;
    while ((held = ask(count, count_length)) < connections) {
        if (now_us() > deadline) die("only %ld of %ld held", held, connections);
        usleep(20000);
    }
    printf("{\"held\": %ld, \"hold_seconds\": %.4f}\n", held, (double)(now_us() - start) / 1e6);
    fflush(stdout);
    if (!fgets(buffer, 100, stdin)) return 1;

    static struct histogram histogram;
    int64_t woken = now_us(), first = 0, at = woken;
    long ended = 0, failed = 0;
    deadline = woken + patience * 1000000;
    int waker = socket(target.address.ss_family, SOCK_STREAM, 0);
    if (connect(waker, (struct sockaddr *)&target.address, target.length) < 0) die("connect: %s", strerror(errno));
    woken = now_us();
    if (send_all(waker, wake, wake_length) < 0) die("send: %s", strerror(errno));
    while (ended < connections && at < deadline) {
        int n = epoll_wait(epoll_fd, events, 512, 0);
        at = now_us();
        if (!first && n > 0) first = at;
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            ssize_t r = recv(c->fd, buffer, sizeof buffer, 0);
            /* Not looked at any more once it is closed; the descriptor stays open until
             * the end: closing costs the peer, too. */
            if (r <= 0) epoll_ctl(epoll_fd, EPOLL_CTL_DEL, c->fd, NULL);
            if (c->ended) continue;
            if (r > 0) response_feed(&c->response, buffer, (size_t)r);
            if (r > 0 && c->response.framing != DONE) continue;
            if (c->response.status != 200 || (r <= 0 && c->response.framing != UNTIL_EOF)) failed++;
            c->ended = 1;
            record(&histogram, at - woken);
            ended++;
        }
    }
    printf("{\"answered\": %ld, \"failed\": %ld, \"wake_seconds\": %.4f, \"first_us\": %lld, "
           "\"p50_us\": %lld, \"p99_us\": %lld}\n",
           ended, failed, (double)(at - woken) / 1e6, (long long)(first - woken),
           (long long)percentile(&histogram, 0.5), (long long)percentile(&histogram, 0.99));
    return 0;
}
