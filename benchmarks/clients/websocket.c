/* Websocket load: echo with K messages in flight, or broadcast to all.
 *
 *   websocket --target tcp:127.0.0.1:8000 --path /echo --connections 32 --size 64
 *             --inflight 1 --seconds 3 [--warmup 0.5] [--broadcast]
 *
 * Echo: each connection keeps K messages under way; a message that comes back sends the
 * next. Broadcast: the first connection sends one message, the server sends it to all;
 * when all have it the next is sent. Counts messages received. Prints one JSON object.
 */
#include "client.h"

#include <getopt.h>

struct connection {
    int fd;
    uint64_t skip;     /* payload bytes of the current frame still to come */
    size_t held;       /* bytes of a frame header kept in `header` */
    unsigned opcode;   /* of the current frame */
    unsigned char header[14];
    size_t unsent;     /* bytes of whole frames that the socket did not take yet */
    size_t offset;     /* where in the frame the next byte is */
    int writing;
    int64_t *sent_at;  /* ring of the moments of sending, in order */
    unsigned head, tail;
};

static int epoll_fd, inflight = 1;
static char *frame;
static size_t frame_length, frame_size = 64;
static uint64_t done, total, errors;
static struct histogram histogram;
static int64_t measure_from;
static int broadcast;
static int64_t broadcast_at;
static long broadcast_left;

static void pump(struct connection *c) {
    while (c->unsent) {
        size_t whole = frame_length - c->offset;
        ssize_t n = send(c->fd, frame + c->offset, whole, MSG_NOSIGNAL);
        if (n < 0 && errno == EAGAIN) break;
        if (n < 0) die("send: %s", strerror(errno));
        c->offset = (c->offset + (size_t)n) % frame_length;
        c->unsent -= (size_t)n;
    }
    int writing = c->unsent > 0;
    if (writing != c->writing) {
        struct epoll_event event = {.events = EPOLLIN | (writing ? EPOLLOUT : 0), .data.ptr = c};
        epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
        c->writing = writing;
    }
}

static void message(struct connection *c, int64_t at) {
    c->sent_at[c->head++ % (unsigned)inflight] = at;
    c->unsent += frame_length;
    pump(c);
}

/* A pong between two messages; in the midst of one the peer may wait. */
static void pong(struct connection *c) {
    static const char frame_of_pong[6] = {(char)0x8a, (char)0x80, 1, 2, 3, 4};
    if (!c->unsent) send_all(c->fd, frame_of_pong, sizeof frame_of_pong);
}

static void received(struct connection *c, struct connection *first, long count, int64_t at) {
    total++;
    if (broadcast) {
        if (at >= measure_from) {
            done++;
            record(&histogram, at - broadcast_at);
        }
        if (--broadcast_left == 0) {
            broadcast_left = count;
            broadcast_at = at;
            message(first, at);
        }
        return;
    }
    int64_t sent = c->sent_at[c->tail++ % (unsigned)inflight];
    if (at >= measure_from) {
        done++;
        record(&histogram, at - sent);
    }
    message(c, at);
}

static void readable(struct connection *c, struct connection *first, long count, int64_t at) {
    static unsigned char buffer[1 << 18];
    ssize_t n = recv(c->fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) die("the server closed a websocket");
    size_t i = 0;
    while (i < (size_t)n) {
        if (c->skip) {
            uint64_t take = (uint64_t)n - i < c->skip ? (uint64_t)n - i : c->skip;
            i += take;
            c->skip -= take;
            if (!c->skip && c->opcode == 9) pong(c);
            else if (!c->skip) received(c, first, count, at);
            continue;
        }
        c->header[c->held++] = buffer[i++];
        if (c->held < 2) continue;
        unsigned length = c->header[1] & 127;
        size_t needed = length < 126 ? 2 : length == 126 ? 4 : 10;
        if (c->held < needed) continue;
        uint64_t size = length;
        if (needed == 4) size = (uint64_t)c->header[2] << 8 | c->header[3];
        if (needed == 10) {
            size = 0;
            for (int k = 2; k < 10; k++) size = size << 8 | c->header[k];
        }
        c->opcode = c->header[0] & 15;
        c->held = 0;
        c->skip = size;
        if (c->opcode == 9) {
            if (!size) pong(c);
            continue;
        }
        if (c->opcode != 1 && c->opcode != 2) die("unexpected frame, opcode %u", c->opcode);
        if (size != frame_size) errors++;
        if (!size) received(c, first, count, at);
    }
}

static void handshake(struct connection *c, const struct target *target, const char *path) {
    char text[2048], answer[4096];
    size_t got = 0;
    c->fd = socket(target->address.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    int on = 1;
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(c->fd, (const struct sockaddr *)&target->address, target->length) < 0)
        die("connect: %s", strerror(errno));
    int length = snprintf(text, sizeof text,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Version: 13\r\nOrigin: http://127.0.0.1\r\n\r\n",
                          path);
    if (send_all(c->fd, text, (size_t)length) < 0) die("send: %s", strerror(errno));
    for (;;) {
        ssize_t n = recv(c->fd, answer + got, 1, 0);
        if (n <= 0) die("no handshake");
        got += (size_t)n;
        if (got >= 4 && !memcmp(answer + got - 4, "\r\n\r\n", 4)) break;
        if (got == sizeof answer) die("handshake too long");
    }
    if (strncmp(answer, "HTTP/1.1 101", 12)) die("refused: %.*s", (int)got, answer);
    fcntl(c->fd, F_SETFL, fcntl(c->fd, F_GETFL) | O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
}

static void build_frame(void) {
    static const unsigned char key[4] = {0x37, 0xfa, 0x21, 0x3d};
    frame = malloc(frame_size + 14);
    size_t at = 0;
    frame[at++] = (char)0x81;
    if (frame_size < 126) {
        frame[at++] = (char)(0x80 | frame_size);
    } else if (frame_size < 65536) {
        frame[at++] = (char)(0x80 | 126);
        frame[at++] = (char)(frame_size >> 8);
        frame[at++] = (char)(frame_size & 255);
    } else {
        frame[at++] = (char)(0x80 | 127);
        for (int k = 7; k >= 0; k--) frame[at++] = (char)((uint64_t)frame_size >> (8 * k) & 255);
    }
    memcpy(frame + at, key, 4);
    at += 4;
    for (size_t i = 0; i < frame_size; i++) frame[at + i] = (char)(('a' + i % 26) ^ key[i % 4]);
    frame_length = at + frame_size;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"target", 1, 0, 't'},   {"path", 1, 0, 'p'},     {"connections", 1, 0, 'c'},
        {"size", 1, 0, 'z'},     {"inflight", 1, 0, 'k'}, {"seconds", 1, 0, 's'},
        {"warmup", 1, 0, 'w'},   {"broadcast", 0, 0, 'b'}, {0, 0, 0, 0}};
    long connections = 32;
    double seconds = 3, warmup = 0.5;
    const char *where = NULL, *path = "/";
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': where = optarg; break;
        case 'p': path = optarg; break;
        case 'c': connections = atol(optarg); break;
        case 'z': frame_size = (size_t)atol(optarg); break;
        case 'k': inflight = atoi(optarg); break;
        case 's': seconds = atof(optarg); break;
        case 'w': warmup = atof(optarg); break;
        case 'b': broadcast = 1; break;
        default: return 2;
        }
    }
    if (!where) die("--target is needed");
    struct target target = parse_target(where);
    build_frame();
    epoll_fd = epoll_create1(0);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    for (long i = 0; i < connections; i++) {
        all[i].sent_at = calloc((size_t)inflight, sizeof(int64_t));
        handshake(&all[i], &target, path);
    }
    int64_t start = now_us(), at = start;
    measure_from = start + (int64_t)(warmup * 1e6);
    int64_t end = measure_from + (int64_t)(seconds * 1e6);
    if (broadcast) {
        usleep(200000); /* let every connection join the room */
        broadcast_left = connections;
        broadcast_at = now_us();
        message(&all[0], broadcast_at);
    } else {
        for (long i = 0; i < connections; i++)
            for (int k = 0; k < inflight; k++) message(&all[i], at);
    }
    struct epoll_event events[256];
    while (at < end) {
        int n = epoll_wait(epoll_fd, events, 256, 50);
        at = now_us();
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (events[i].events & EPOLLOUT) pump(c);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) readable(c, all, connections, at);
        }
    }
    double measured = (double)(at - measure_from) / 1e6;
    printf("{\"requests\": %llu, \"total\": %llu, \"seconds\": %.4f, \"rate\": %.1f, \"errors\": %llu, "
           "\"p50_us\": %lld, \"p90_us\": %lld, \"p99_us\": %lld, \"max_us\": %lld}\n",
           (unsigned long long)done, (unsigned long long)total, measured, (double)done / measured,
           (unsigned long long)errors, (long long)percentile(&histogram, 0.5),
           (long long)percentile(&histogram, 0.9), (long long)percentile(&histogram, 0.99),
           (long long)histogram.highest);
    return 0;
}
