/* A runner without a model: what is measured is what stands in front of it.
 *
 *     backend ADDRESS PORT PACE
 *
 * An ADDRESS that begins with a slash is the path of a UNIX socket, where runnerd looks for its
 * engine; PORT means nothing then.
 *
 * POST answers an OpenAI completion whose text has as many bytes as the request's `max_tokens`.
 * With "stream": true it is a stream of `max_tokens` events, one every PACE microseconds, each
 * with the moment it was sent in it: "t=NANOSECONDS " of the monotonic clock. GET is answered with
 * a small object, which health checks take for a yes. Any path will do.
 */
#include "common.h"

#include <sys/un.h>

/* Requests name what they want within so many bytes of the body's begin or end. */
#define PARAMETERS 1024
#define LONGEST_TEXT (1 << 20)
/* Of an answer, at most. */
#define HEAD 512

typedef struct Connection {
    int socket;
    char *in;
    size_t filled, space;
    /* What the socket did not take at once. */
    char *out;
    size_t waiting, out_space;
    /* A stream that runs: events to come, and when the next one is due. */
    long left;
    int64_t due;
    struct Connection *before, *after;
} Connection;

static int poll_;
static int64_t pace;
/* Streams, the one that is due first first: each event puts its stream to the end. */
static Connection *first, *last;

static void enqueue(Connection *one) {
    one->before = last;
    one->after = NULL;
    *(last ? &last->after : &first) = one;
    last = one;
}

static void unqueue(Connection *one) {
    *(one->before ? &one->before->after : &first) = one->after;
    *(one->after ? &one->after->before : &last) = one->before;
    one->before = one->after = NULL;
}

static void leave(Connection *one) {
    if (one->left) unqueue(one);
    close(one->socket);
    free(one->in);
    free(one->out);
    free(one);
}

static bool put(Connection *one, const char *data, size_t size) {
    if (!one->waiting) {
        ssize_t sent = send(one->socket, data, size, MSG_NOSIGNAL);
        if (sent < 0 && errno != EAGAIN) return false;
        if (sent > 0) {
            data += sent;
            size -= (size_t)sent;
        }
        if (!size) return true;
        watch(poll_, EPOLL_CTL_MOD, one->socket, true, one);
    }
    if (one->waiting + size > one->out_space) {
        one->out_space = (one->waiting + size) * 2;
        one->out = claim(one->out, one->out_space);
    }
    memcpy(one->out + one->waiting, data, size);
    one->waiting += size;
    return true;
}

static bool put_rest(Connection *one) {
    ssize_t sent = send(one->socket, one->out, one->waiting, MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN;
    one->waiting -= (size_t)sent;
    memmove(one->out, one->out + sent, one->waiting);
    if (!one->waiting) watch(poll_, EPOLL_CTL_MOD, one->socket, false, one);
    return true;
}

/* Sends one event, or the end of the stream after the last one. */
static bool put_event(Connection *one) {
    char event[512], chunk[600];
    if (one->left == 1) {
        static const char end[] = "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n";
        return put(one, end, sizeof end - 1);
    }
    int size = snprintf(
        event, sizeof event,
        "data: {\"id\":\"chatcmpl-857e7f3abd475cb5\",\"object\":\"chat.completion.chunk\","
        "\"created\":1795261646,\"model\":\"tiny\",\"choices\":[{\"index\":0,\"delta\":"
        "{\"content\":\"t=%lld \"},\"logprobs\":null,\"finish_reason\":%s}]}\n\n",
        (long long)now(), one->left == 2 ? "\"stop\"" : "null");
    size = snprintf(chunk, sizeof chunk, "%x\r\n%s\r\n", size, event);
    return put(one, chunk, (size_t)size);
}

/* Writes the head of an answer; the bytes it takes. `framing` is the line that tells its end. */
static size_t make_head(const Connection *one, size_t head, const char *framing, char *out) {
    static uint64_t made;
    static char date[64];
    static time_t told;
    time_t second = time(NULL);
    if (second != told) {
        told = second;
        strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&second));
    }
    char identity[64];
    const char *given = header(one->in, head, "x-request-id:");
    size_t length = given ? strcspn(given, "\r") : 0;
    if (length && length < sizeof identity) {
        memcpy(identity, given, length);
        identity[length] = 0;
    } else {
        snprintf(identity, sizeof identity, "%024llx", (unsigned long long)made++);
    }
    return (size_t)snprintf(out, HEAD,
                            "HTTP/1.1 200 OK\r\nServer: runnerd\r\nX-Request-Id: %s\r\n%s\r\n"
                            "Date: %s\r\n\r\n",
                            identity, framing, date);
}

static bool begin_stream(Connection *one, size_t head, long events) {
    char out[HEAD];
    size_t size = make_head(one, head,
                            "Content-Type: text/event-stream; charset=utf-8\r\n"
                            "Transfer-Encoding: chunked",
                            out);
    if (!put(one, out, size)) return false;
    one->left = events + 1;
    one->due = now() + pace;
    enqueue(one);
    return true;
}

/* The completion with `bytes` of text; its body is made once for each size asked for in a row,
 * with room for a head before it. */
static bool put_completion(Connection *one, size_t head, long bytes) {
    static char *answer;
    static int size;
    static long made = -1;
    if (made != bytes) {
        char *text = claim(NULL, (size_t)bytes + 1);
        for (long i = 0; i < bytes; i++) text[i] = i % 8 == 7 ? ' ' : 'x';
        text[bytes] = 0;
        answer = claim(answer, HEAD + (size_t)bytes + 512);
        size = sprintf(
            answer + HEAD,
            "{\"id\":\"chatcmpl-90bdd59c135ae7c5\",\"object\":\"chat.completion\","
            "\"created\":1795261646,\"model\":\"tiny\",\"choices\":[{\"index\":0,\"message\":"
            "{\"role\":\"assistant\",\"content\":\"%s\"},\"finish_reason\":\"stop\"}],\"usage\":"
            "{\"prompt_tokens\":16,\"completion_tokens\":8,\"total_tokens\":24}}",
            text);
        free(text);
        made = bytes;
    }
    char framing[80], out[HEAD];
    snprintf(framing, sizeof framing, "Content-Type: application/json\r\nContent-Length: %d", size);
    size_t length = make_head(one, head, framing, out);
    memcpy(answer + HEAD - length, out, length);
    return put(one, answer + HEAD - length, length + (size_t)size);
}

/* What follows `"name":` in the body, past a blank; NULL when it is not in its begin or end. */
static const char *parameter(const char *body, size_t size, const char *name) {
    char key[64];
    size_t length = (size_t)snprintf(key, sizeof key, "\"%s\":", name);
    size_t part = size < PARAMETERS ? size : PARAMETERS;
    const char *found = memmem(body, part, key, length);
    if (!found) found = memmem(body + size - part, part, key, length);
    return found ? found + length + (found[length] == ' ') : NULL;
}

static bool answer(Connection *one, size_t head, size_t size) {
    const char *body = one->in + head;
    if (!memcmp(one->in, "GET ", 4)) {
        static const char yes[] =
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 27\r\n\r\n"
            "{\"object\":\"list\",\"data\":[]}";
        return put(one, yes, sizeof yes - 1);
    }
    const char *wanted = parameter(body, size, "max_tokens");
    long count = wanted ? strtol(wanted, NULL, 10) : 16;
    if (count < 1 || count > LONGEST_TEXT) return false;
    const char *stream = parameter(body, size, "stream");
    if (stream && !memcmp(stream, "true", 4)) return begin_stream(one, head, count);
    return put_completion(one, head, count);
}

/* Answers every whole request that is here. False: the connection is to end. */
static bool serve(Connection *one) {
    while (one->filled && !one->left) {
        char *end = memmem(one->in, one->filled, "\r\n\r\n", 4);
        if (!end) return true;
        size_t head = (size_t)(end + 4 - one->in);
        const char *length = header(one->in, head, "content-length:");
        size_t body = length ? strtoul(length, NULL, 10) : 0;
        if (one->filled < head + body) return true;
        one->in[one->filled] = 0;
        if (!answer(one, head, body)) return false;
        one->filled -= head + body;
        memmove(one->in, one->in + head + body, one->filled);
    }
    return true;
}

static bool receive(Connection *one) {
    for (;;) {
        if (one->filled + 1 >= one->space) {
            one->space = one->space ? one->space * 2 : 4096;
            one->in = claim(one->in, one->space);
        }
        size_t room = one->space - one->filled - 1;
        ssize_t got = recv(one->socket, one->in + one->filled, room, 0);
        if (got < 0) return errno == EAGAIN;
        if (got == 0) return false;
        one->filled += (size_t)got;
        if ((size_t)got < room) return serve(one);
        if (!serve(one)) return false;
    }
}

static void accept_all(int listener) {
    int socket;
    while ((socket = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0) {
        without_delay(socket);
        Connection *one = calloc(1, sizeof *one);
        if (!one) die("memory");
        one->socket = socket;
        watch(poll_, EPOLL_CTL_ADD, socket, false, one);
    }
}

static void send_due_events(void) {
    for (int64_t moment = now(); first && first->due <= moment;) {
        Connection *one = first;
        bool sent = put_event(one);
        unqueue(one);
        one->left--;
        if (!sent) {
            one->left = 0;
            leave(one);
        } else if (one->left) {
            one->due += pace;
            enqueue(one);
        } else if (!serve(one)) {
            leave(one);
        }
    }
}

static int bound_to_path(const char *path) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof address.sun_path) {
        fprintf(stderr, "%s is too long for a socket\n", path);
        exit(2);
    }
    strcpy(address.sun_path, path);
    int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    return listener;
}

static int bound_to_port(const char *host, int port) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), yes = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes);
    struct sockaddr_in address = address_of(host, port);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) < 0) die("bind");
    return listener;
}

static int listen_at(const char *host, int port) {
    int listener = *host == '/' ? bound_to_path(host) : bound_to_port(host, port);
    if (listen(listener, 4096) < 0) die("listen");
    return listener;
}

int main(int count, char **words) {
    if (count != 4) {
        fprintf(stderr, "usage: backend ADDRESS PORT PACE(microseconds)\n");
        return 2;
    }
    pace = atoll(words[3]) * 1000;
    poll_ = epoll_create1(0);
    int listener = listen_at(words[1], atoi(words[2]));
    watch(poll_, EPOLL_CTL_ADD, listener, false, NULL);
    static struct epoll_event events[EVENTS];
    for (;;) {
        int ready = wait_events(poll_, events, first ? first->due : now() + SECOND);
        for (int i = 0; i < ready; i++) {
            Connection *one = events[i].data.ptr;
            if (!one) {
                accept_all(listener);
                continue;
            }
            bool alive = !(events[i].events & EPOLLOUT) || put_rest(one);
            if (alive && events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) alive = receive(one);
            if (!alive) leave(one);
        }
        send_due_events();
    }
}
