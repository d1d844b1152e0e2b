/* What the fake model server and the load generator share. Linux only: epoll, accept4. */
#ifndef MODELRUNNER_PERF_COMMON_H
#define MODELRUNNER_PERF_COMMON_H

#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define SECOND 1000000000LL
#define MILLISECOND 1000000LL
#define EVENTS 512

/* Nanoseconds of the clock that all processes of a machine share. */
static inline int64_t now(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * SECOND + t.tv_nsec;
}

static inline void die(const char *what) {
    perror(what);
    exit(1);
}

static inline void *claim(void *old, size_t size) {
    void *memory = realloc(old, size);
    if (!memory) die("memory");
    return memory;
}

static inline struct sockaddr_in address_of(const char *host, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    if (inet_pton(AF_INET, host, &address.sin_addr) != 1) {
        fprintf(stderr, "%s is not an IPv4 address\n", host);
        exit(2);
    }
    return address;
}

static inline void without_delay(int socket) {
    int yes = 1;
    setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
}

static inline void watch(int poll, int operation, int socket, bool also_writable, void *owner) {
    struct epoll_event event = {
        .events = EPOLLIN | (also_writable ? (uint32_t)EPOLLOUT : 0), .data.ptr = owner};
    if (epoll_ctl(poll, operation, socket, &event) < 0) die("epoll_ctl");
}

/* epoll_wait that returns at `until` (nanoseconds) at the latest, without rounding to
 * milliseconds: the events of many streams would otherwise leave in bunches. */
static inline int wait_events(int poll, struct epoll_event *events, int64_t until) {
    int64_t left = until - now();
    if (left < 0) left = 0;
    struct timespec timeout = {.tv_sec = left / SECOND, .tv_nsec = left % SECOND};
    int count = epoll_pwait2(poll, events, EVENTS, &timeout, NULL);
    if (count < 0 && errno != EINTR) die("epoll_pwait2");
    return count < 0 ? 0 : count;
}

/* The value of a header within head[0..length), past its white space; NULL when it is not there.
 * `name` is with its colon, in any case. */
static inline const char *header(const char *head, size_t length, const char *name) {
    size_t size = strlen(name);
    const char *end = head + length;
    for (const char *line = memchr(head, '\n', length); line;
         line = memchr(line, '\n', (size_t)(end - line))) {
        line++;
        if ((size_t)(end - line) < size) return NULL;
        if (!strncasecmp(line, name, size)) {
            for (line += size; line < end && (*line == ' ' || *line == '\t'); line++) {}
            return line;
        }
    }
    return NULL;
}

#endif
