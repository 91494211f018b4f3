/* What the load clients share: clock, targets, histogram, HTTP response framing.
 *
 * A client is one thread with one epoll. Everything here is static inline so that
 * each client stays one translation unit: gcc -O2 -o load load.c
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#ifndef IP_BIND_ADDRESS_NO_PORT
#define IP_BIND_ADDRESS_NO_PORT 24
#endif

static inline void die(const char *format, ...) {
    va_list args;
    va_start(args, format);
    vfprintf(stderr, format, args);
    va_end(args);
    fputc('\n', stderr);
    exit(2);
}

static inline int64_t now_us(void) {
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static inline char *read_file(const char *path, size_t *length) {
    struct stat st;
    int fd = open(path, O_RDONLY);
    if (fd < 0 || fstat(fd, &st) < 0) die("cannot read %s: %s", path, strerror(errno));
    char *bytes = malloc((size_t)st.st_size + 1);
    size_t got = 0;
    while (got < (size_t)st.st_size) {
        ssize_t n = read(fd, bytes + got, (size_t)st.st_size - got);
        if (n <= 0) die("cannot read %s", path);
        got += (size_t)n;
    }
    bytes[got] = 0;
    close(fd);
    *length = got;
    return bytes;
}

/* ---- targets: tcp:127.0.0.1:8000 or unix:/run/app.sock ------------------- */

struct target {
    struct sockaddr_storage address;
    socklen_t length;
};

static inline struct target parse_target(const char *text) {
    struct target target;
    memset(&target, 0, sizeof target);
    if (!strncmp(text, "unix:", 5)) {
        struct sockaddr_un *un = (struct sockaddr_un *)&target.address;
        un->sun_family = AF_UNIX;
        if (strlen(text + 5) >= sizeof un->sun_path) die("path too long: %s", text);
        strcpy(un->sun_path, text + 5);
        target.length = sizeof *un;
    } else if (!strncmp(text, "tcp:", 4)) {
        struct sockaddr_in *in = (struct sockaddr_in *)&target.address;
        char host[64];
        const char *colon = strrchr(text + 4, ':');
        if (!colon || colon - (text + 4) >= (ptrdiff_t)sizeof host) die("no port: %s", text);
        memcpy(host, text + 4, (size_t)(colon - (text + 4)));
        host[colon - (text + 4)] = 0;
        in->sin_family = AF_INET;
        in->sin_port = htons((uint16_t)atoi(colon + 1));
        if (inet_pton(AF_INET, host, &in->sin_addr) != 1) die("not an IPv4 address: %s", host);
        target.length = sizeof *in;
    } else {
        die("a target is tcp:ADDRESS:PORT or unix:PATH, not %s", text);
    }
    return target;
}

/* A non-blocking socket on its way to the target, or -1 with errno. One source
 * address has some 28,000 ports, so holders of more connections give `source`:
 * connection i comes from 127.0.0.(1 + source). */
static inline int start_connect(const struct target *target, int source) {
    int family = target->address.ss_family;
    int fd = socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) return -1;
    int on = 1;
    if (family == AF_INET) {
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
        if (source > 0) {
            struct sockaddr_in from = {.sin_family = AF_INET};
            from.sin_addr.s_addr = htonl(0x7f000001u + (uint32_t)source);
            setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on);
            if (bind(fd, (struct sockaddr *)&from, sizeof from) < 0) die("bind: %s", strerror(errno));
        }
    }
    if (connect(fd, (const struct sockaddr *)&target->address, target->length) < 0 &&
        errno != EINPROGRESS) {
        int saved = errno;
        close(fd);
        errno = saved;
        return -1;
    }
    return fd;
}

/* ---- latency histogram: 64 steps an octave, so values are within 1.6 % ---- */

#define STEPS 64
#define BUCKETS (STEPS * 40)

struct histogram {
    uint64_t counts[BUCKETS];
    uint64_t total;
    int64_t highest;
};

static inline void record(struct histogram *h, int64_t us) {
    if (us < 0) us = 0;
    if (us > h->highest) h->highest = us;
    unsigned octave = 0;
    uint64_t value = (uint64_t)us;
    while (value >= 2 * STEPS) {
        value >>= 1;
        octave++;
    }
    unsigned bucket = octave * STEPS + (unsigned)value;
    h->counts[bucket < BUCKETS ? bucket : BUCKETS - 1]++;
    h->total++;
}

static inline int64_t percentile(const struct histogram *h, double share) {
    uint64_t rank = (uint64_t)(share * (double)h->total), seen = 0;
    for (unsigned bucket = 0; bucket < BUCKETS; bucket++) {
        seen += h->counts[bucket];
        if (seen > rank) {
            unsigned octave = bucket < 2 * STEPS ? 0 : bucket / STEPS - 1;
            return (int64_t)(bucket - octave * STEPS) << octave;
        }
    }
    return h->highest;
}

/* ---- where does a response end? ------------------------------------------ */

enum framing { HEAD, LENGTH, CHUNK_SIZE, CHUNK_DATA, CHUNK_END, TRAILER, UNTIL_EOF, DONE };

struct response {
    enum framing framing;
    int status;
    int last;        /* the peer announced that it closes */
    int64_t left;    /* bytes of the body or of the chunk still to come */
    size_t held;     /* bytes of the head (or of a chunk's line) kept in `text` */
    char text[2048];
};

static inline void response_reset(struct response *r) {
    r->framing = HEAD;
    r->held = 0;
    r->status = 0;
    r->last = 0;
}

static inline void response_head(struct response *r) {
    r->text[r->held] = 0;
    r->status = r->held > 12 ? atoi(r->text + 9) : 0;
    r->framing = UNTIL_EOF;
    if (r->text[7] == '0') r->last = 1;
    char *line = r->text;
    while ((line = strstr(line, "\r\n")) != NULL) {
        line += 2;
        if (!strncasecmp(line, "content-length:", 15)) {
            r->left = atoll(line + 15);
            r->framing = LENGTH;
        } else if (!strncasecmp(line, "transfer-encoding: chunked", 26)) {
            r->framing = CHUNK_SIZE;
        } else if (!strncasecmp(line, "connection: close", 17)) {
            r->last = 1;
        } else if (!strncasecmp(line, "connection: keep-alive", 22)) {
            r->last = 0;
        }
    }
    if (r->status == 204 || r->status == 304 || (r->framing == LENGTH && r->left == 0)) r->framing = DONE;
    r->held = 0;
}

/* Takes bytes until the response ends; returns how many it took. */
static inline size_t response_feed(struct response *r, const char *bytes, size_t length) {
    size_t at = 0;
    while (at < length && r->framing != DONE) {
        switch (r->framing) {
        case HEAD: {
            size_t before = r->held, room = sizeof r->text - 1 - r->held;
            size_t take = length - at < room ? length - at : room;
            memcpy(r->text + r->held, bytes + at, take);
            r->text[r->held + take] = 0;
            size_t from = before > 3 ? before - 3 : 0;
            char *end = strstr(r->text + from, "\r\n\r\n");
            if (!end) {
                r->held += take;
                at += take;
                if (r->held == sizeof r->text - 1) die("response head longer than %zu", r->held);
                break;
            }
            at += (size_t)(end + 4 - r->text) - before;
            r->held = (size_t)(end + 2 - r->text);
            response_head(r);
            break;
        }
        case LENGTH:
        case CHUNK_DATA: {
            int64_t take = (int64_t)(length - at) < r->left ? (int64_t)(length - at) : r->left;
            at += (size_t)take;
            r->left -= take;
            if (!r->left) r->framing = r->framing == LENGTH ? DONE : CHUNK_END;
            break;
        }
        case CHUNK_SIZE:
        case CHUNK_END:
        case TRAILER: {
            char c = bytes[at++];
            if (c != '\n') {
                if (r->held < 32) r->text[r->held++] = c;
                break;
            }
            if (r->framing == CHUNK_SIZE) {
                r->text[r->held] = 0;
                r->left = strtoll(r->text, NULL, 16);
                r->framing = r->left ? CHUNK_DATA : TRAILER;
            } else if (r->framing == CHUNK_END) {
                r->framing = CHUNK_SIZE;
            } else if (r->held <= 1) {
                r->framing = DONE;
            }
            r->held = 0;
            break;
        }
        case UNTIL_EOF:
            at = length;
            break;
        case DONE:
            break;
        }
    }
    return at;
}

/* Writes all of it, waiting where the socket takes no more. */
static inline int send_all(int fd, const char *bytes, size_t length) {
    while (length) {
        ssize_t n = send(fd, bytes, length, MSG_NOSIGNAL);
        if (n < 0) {
            if (errno != EAGAIN) return -1;
            struct pollfd writable = {.fd = fd, .events = POLLOUT};
            poll(&writable, 1, 1000);
            continue;
        }
        bytes += n;
        length -= (size_t)n;
    }
    return 0;
}

#endif
