/* Holds N websockets that say nothing and answer pings.
 *
 *   sockets --target tcp:127.0.0.1:8000 --path /echo --connections 20000
 *
 * Prints {"held": …} when all handshakes are done and waits for a line on standard
 * input; pings are answered meanwhile. Then prints how many pings came since, and which
 * ends: closes with 1012, with 1001, with another code, connections cut without a close
 * frame, and the seconds from the first to the last of them. A close is answered, as a
 * browser does. Ends by itself when all websockets have ended.
 */
#define _GNU_SOURCE /* memmem */
#include "client.h"

#include <getopt.h>
#include <sys/resource.h>

struct connection {
    int fd;
    int open;      /* the handshake is done */
    int closed;    /* a close frame came */
    size_t got;
    unsigned char bytes[300]; /* an unfinished head or frame */
};

static const unsigned char mask[4] = {1, 2, 3, 4};
static uint64_t pings, restarts, goings, others, cuts, messages;
static long opened, ended;
static int64_t first_end, last_end;

static void count_end(void) {
    last_end = now_us();
    if (!first_end) first_end = last_end;
}

/* A masked control frame with the payload it answers. */
static void answer(struct connection *c, unsigned opcode, const unsigned char *payload, size_t length) {
    unsigned char frame[131];
    if (length > 125) return;
    frame[0] = (unsigned char)(0x80 | opcode);
    frame[1] = (unsigned char)(0x80 | length);
    memcpy(frame + 2, mask, 4);
    for (size_t i = 0; i < length; i++) frame[6 + i] = payload[i] ^ mask[i % 4];
    if (send(c->fd, frame, 6 + length, MSG_NOSIGNAL) < 0 && errno != EPIPE && errno != ECONNRESET)
        die("send: %s", strerror(errno));
}

static void frame(struct connection *c, unsigned opcode, const unsigned char *payload, size_t length) {
    if (opcode == 9) {
        pings++;
        answer(c, 10, payload, length);
    } else if (opcode == 8) {
        unsigned code = length >= 2 ? (unsigned)payload[0] << 8 | payload[1] : 0;
        if (code == 1012) restarts++;
        else if (code == 1001) goings++;
        else others++;
        c->closed = 1;
        count_end();
        answer(c, 8, payload, length > 2 ? 2 : length);
    } else {
        messages++;
    }
}

static void end(struct connection *c) {
    if (!c->open) die("a handshake failed");
    if (!c->closed) {
        cuts++;
        count_end();
    }
    close(c->fd);
    c->fd = -1;
    ended++;
}

static void readable(struct connection *c) {
    ssize_t n = recv(c->fd, c->bytes + c->got, sizeof c->bytes - c->got, 0);
    if (n < 0 && errno == EAGAIN) return;
    if (n <= 0) {
        end(c);
        return;
    }
    c->got += (size_t)n;
    size_t at = 0;
    if (!c->open) {
        unsigned char *behind = memmem(c->bytes, c->got, "\r\n\r\n", 4);
        if (!behind) {
            if (c->got == sizeof c->bytes) die("the answer to the handshake is too long");
            return;
        }
        if (memcmp(c->bytes, "HTTP/1.1 101", 12)) die("refused: %.*s", (int)c->got, c->bytes);
        at = (size_t)(behind + 4 - c->bytes);
        c->open = 1;
        opened++;
    }
    while (c->got - at >= 2) {
        size_t length = c->bytes[at + 1] & 127;
        if (length > 125) die("only short frames are expected");
        if (c->got - at < 2 + length) break;
        frame(c, c->bytes[at] & 15, c->bytes + at + 2, length);
        at += 2 + length;
    }
    memmove(c->bytes, c->bytes + at, c->got - at);
    c->got -= at;
}

int main(int argc, char **argv) {
    static const struct option options[] = {
        {"target", 1, 0, 't'}, {"path", 1, 0, 'p'}, {"connections", 1, 0, 'n'},
        {"pending", 1, 0, 'w'}, {0, 0, 0, 0}};
    long connections = 20000, pending = 200;
    const char *where = NULL, *path = "/echo";
    int option;
    while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
        switch (option) {
        case 't': where = optarg; break;
        case 'p': path = optarg; break;
        case 'n': connections = atol(optarg); break;
        case 'w': pending = atol(optarg); break;
        default: return 2;
        }
    }
    if (!where) die("--target is needed");
    struct rlimit files = {(rlim_t)connections + 100, (rlim_t)connections + 100};
    if (setrlimit(RLIMIT_NOFILE, &files) < 0) {
        getrlimit(RLIMIT_NOFILE, &files);
        files.rlim_cur = files.rlim_max;
        setrlimit(RLIMIT_NOFILE, &files);
    }
    struct target target = parse_target(where);
    char request[1024];
    int length = snprintf(request, sizeof request,
                          "GET %s HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n"
                          "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
                          "Sec-WebSocket-Version: 13\r\nOrigin: http://127.0.0.1\r\n"
                          "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101\r\n"
                          "Accept-Language: en-US,en;q=0.5\r\nAccept-Encoding: gzip, deflate\r\n\r\n",
                          path);
    struct connection *all = calloc((size_t)connections, sizeof *all);
    int epoll_fd = epoll_create1(0), asked = 0, held = 0;
    struct epoll_event own = {.events = EPOLLIN, .data.ptr = NULL};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, STDIN_FILENO, &own);
    int64_t start = now_us(), since = start;
    uint64_t pings_before = 0;
    long started = 0;
    struct epoll_event events[256];
    while (ended < connections) {
        while (started < connections && started - opened < pending) {
            struct connection *c = &all[started];
            c->fd = start_connect(&target, (int)(started / 10000) + 1);
            if (c->fd < 0) die("connect: %s", strerror(errno));
            struct epoll_event event = {.events = EPOLLOUT, .data.ptr = c};
            epoll_ctl(epoll_fd, EPOLL_CTL_ADD, c->fd, &event);
            started++;
        }
        if (opened == connections && !held) {
            held = 1;
            since = now_us();
            pings_before = pings;
            printf("{\"held\": %ld, \"hold_seconds\": %.3f}\n", opened, (double)(since - start) / 1e6);
            fflush(stdout);
        }
        if (held && asked) break;
        int n = epoll_wait(epoll_fd, events, 256, 1000);
        for (int i = 0; i < n; i++) {
            struct connection *c = events[i].data.ptr;
            if (!c) {
                asked = 1;
                epoll_ctl(epoll_fd, EPOLL_CTL_DEL, STDIN_FILENO, NULL);
                continue;
            }
            if (events[i].events & EPOLLOUT) {
                if (send_all(c->fd, request, (size_t)length) < 0) die("send: %s", strerror(errno));
                struct epoll_event event = {.events = EPOLLIN, .data.ptr = c};
                epoll_ctl(epoll_fd, EPOLL_CTL_MOD, c->fd, &event);
            } else {
                readable(c);
            }
        }
    }
    printf("{\"seconds\": %.3f, \"pings\": %llu, \"closed_1012\": %llu, \"closed_1001\": %llu, "
           "\"closed_otherwise\": %llu, \"cut\": %llu, \"messages\": %llu, \"end_seconds\": %.3f}\n",
           (double)(now_us() - since) / 1e6, (unsigned long long)(pings - pings_before),
           (unsigned long long)restarts, (unsigned long long)goings, (unsigned long long)others,
           (unsigned long long)cuts, (unsigned long long)messages, (double)(last_end - first_end) / 1e6);
    return 0;
}
