/* Sends one request again and again over N connections and says how it was answered.
 *
 *     generator ADDRESS PORT REQUEST CONNECTIONS SECONDS [ramp=SECONDS] [once] [cut] [ids]
 *
 * REQUEST is a file with the whole request, head and body. Closed loop: a connection sends its next
 * request when the last one is answered. The connections begin spread over `ramp`. After SECONDS,
 * or at SIGTERM, none begins, and those under way may end; `cut` ends them at once. `once`: each
 * connection sends one request and keeps still afterwards. `ids`: each request gets an X-Request-Id
 * of its own, written over the one that REQUEST has.
 *
 * At the end one line of JSON; durations in it are microseconds. Events that carry "t=NANOSECONDS "
 * of the monotonic clock (see backend.c) give the delay of each.
 */
#include "common.h"

#include <signal.h>

#define LONGEST_HEAD 16384
#define LONGEST_LINE 1024
/* Of a request's id. */
#define DIGITS 16
/* How long requests under way may take to end. */
#define PATIENCE (60 * SECOND)

/* Durations by power of two, each in 64 parts: 1.6 % wide. */
#define PARTS 64
typedef struct {
    uint64_t counts[64 * PARTS], count;
    int64_t largest;
} Histogram;

static void add(Histogram *all, int64_t duration) {
    uint64_t value = duration < PARTS ? PARTS : (uint64_t)duration;
    int power = 63 - __builtin_clzll(value);
    all->counts[power * PARTS + (int)((value >> (power - 6)) & (PARTS - 1))]++;
    all->count++;
    if (duration > all->largest) all->largest = duration;
}

static double quantile(const Histogram *all, double point) {
    uint64_t wanted = (uint64_t)((double)all->count * point), seen = 0;
    for (int i = 0; i < 64 * PARTS; i++) {
        seen += all->counts[i];
        if (seen > wanted) {
            int power = i / PARTS;
            return (double)(((uint64_t)(i % PARTS + PARTS)) << (power - 6)) / 1e3;
        }
    }
    return (double)all->largest / 1e3;
}

static void print_histogram(const char *name, const Histogram *all) {
    printf("\"%s\":{\"count\":%llu,\"p50\":%.1f,\"p99\":%.1f,\"max\":%.1f},", name,
           (unsigned long long)all->count, quantile(all, .5), quantile(all, .99),
           (double)all->largest / 1e3);
}

typedef enum { UNCONNECTED, IDLE, SENDING, HEAD, BODY } State;
/* Where the reader of a chunked body is. */
typedef enum { SIZE, EXTENSION, DATA, AFTER_DATA, TRAILER, TRAILER_LINE } Chunk;

typedef struct {
    int socket;
    State state;
    int64_t begin, starts_at;
    size_t sent;
    char head[LONGEST_HEAD];
    size_t head_size;
    bool chunked, closes, until_close, is_stream;
    /* Bytes to come, of the body or of the chunk. */
    int64_t left;
    Chunk chunk;
    char line[LONGEST_LINE];
    size_t line_size;
} Connection;

static Histogram latency, first_byte, delay;
static uint64_t answers, in_time, errors, not_ok, events_seen, bytes_seen, reconnects;
static int not_ok_status;
static int poll_;
static struct sockaddr_in target;
static char *request;
static size_t request_size;
/* Where the request's id is; NULL to leave it as it is. */
static char *identity;
static bool once, ending;
static volatile sig_atomic_t told_to_end;
static size_t under_way;

static void on_signal(int number) {
    (void)number;
    told_to_end = 1;
}

static void connect_anew(Connection *one) {
    if (one->state != UNCONNECTED) {
        close(one->socket);
        reconnects++;
    }
    one->socket = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    if (one->socket < 0) die("socket");
    without_delay(one->socket);
    if (connect(one->socket, (struct sockaddr *)&target, sizeof target) < 0 && errno != EINPROGRESS)
        die("connect");
    watch(poll_, EPOLL_CTL_ADD, one->socket, false, one);
    one->state = IDLE;
}

static void send_more(Connection *one) {
    while (one->sent < request_size) {
        ssize_t sent =
            send(one->socket, request + one->sent, request_size - one->sent, MSG_NOSIGNAL);
        if (sent < 0) {
            /* An error of the connection is seen when it is read. */
            watch(poll_, EPOLL_CTL_MOD, one->socket, true, one);
            one->state = SENDING;
            return;
        }
        one->sent += (size_t)sent;
    }
    if (one->state == SENDING) watch(poll_, EPOLL_CTL_MOD, one->socket, false, one);
    one->state = HEAD;
}

static void begin(Connection *one) {
    static uint64_t begun;
    if (identity) {
        char digits[DIGITS + 1];
        snprintf(digits, sizeof digits, "%0*llx", DIGITS, (unsigned long long)++begun);
        memcpy(identity, digits, DIGITS);
    }
    under_way++;
    one->begin = now();
    one->sent = one->head_size = one->line_size = 0;
    one->state = HEAD;
    send_more(one);
}

static void again(Connection *one) {
    under_way--;
    one->state = IDLE;
    if (!ending && !once) begin(one);
}

static void fail(Connection *one) {
    errors++;
    connect_anew(one);
    again(one);
}

/* Reads the lines of an event stream. */
static void read_events(Connection *one, const char *data, size_t size, int64_t moment) {
    const char *end = data + size;
    while (data < end) {
        const char *stop = memchr(data, '\n', (size_t)(end - data));
        size_t part = (size_t)((stop ? stop : end) - data);
        size_t room = LONGEST_LINE - 1 - one->line_size;
        memcpy(one->line + one->line_size, data, part < room ? part : room);
        one->line_size += part < room ? part : room;
        if (!stop) return;
        one->line[one->line_size] = 0;
        if (!strncmp(one->line, "data: ", 6)) {
            const char *stamp = strstr(one->line, "\"t=");
            if (stamp) {
                events_seen++;
                add(&delay, moment - strtoll(stamp + 3, NULL, 10));
            }
        }
        one->line_size = 0;
        data = stop + 1;
    }
}

static void read_body(Connection *one, const char *data, size_t size, int64_t moment) {
    bytes_seen += size;
    if (one->is_stream) read_events(one, data, size, moment);
}

/* Reads a chunked body. 1: it is whole, 0: more is to come, -1: it is broken. */
static int read_chunked(Connection *one, const char *data, size_t size, int64_t moment) {
    const char *end = data + size;
    while (data < end) {
        if (one->chunk == DATA) {
            int64_t part = end - data < one->left ? end - data : one->left;
            read_body(one, data, (size_t)part, moment);
            data += part;
            one->left -= part;
            if (!one->left) one->chunk = AFTER_DATA;
            continue;
        }
        char c = *data++;
        if (one->chunk == SIZE && c != '\n') {
            int digit = c >= '0' && c <= '9'                 ? c - '0'
                        : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
                                                             : -1;
            if (digit >= 0) one->left = one->left * 16 + digit;
            else if (c == ';') one->chunk = EXTENSION;
            else if (c != '\r') return -1;
        } else if (one->chunk == TRAILER) {
            if (c == '\n') return 1;
            if (c != '\r') one->chunk = TRAILER_LINE;
        } else if (c == '\n') {
            if (one->chunk == AFTER_DATA) one->chunk = SIZE;
            else one->chunk = one->chunk != TRAILER_LINE && one->left ? DATA : TRAILER;
        }
    }
    return 0;
}

/* Takes the head apart once it is whole. The number of bytes past it; -1: more is to come,
 * -2: it is broken. */
static ssize_t read_head(Connection *one, const char *data, size_t size, int64_t moment) {
    size_t before = one->head_size, room = LONGEST_HEAD - before;
    memcpy(one->head + before, data, size < room ? size : room);
    one->head_size += size < room ? size : room;
    char *end = memmem(one->head, one->head_size, "\r\n\r\n", 4);
    if (!end) return one->head_size == LONGEST_HEAD ? -2 : -1;
    size_t length = (size_t)(end + 4 - one->head);
    int status = atoi(one->head + 9);
    if (status < 200) return -2;
    if (status != 200) {
        not_ok++;
        not_ok_status = status;
    }
    const char *value;
    one->left = 0;
    one->chunk = SIZE;
    one->chunked = one->until_close = false;
    if ((value = header(one->head, length, "content-length:"))) one->left = atoll(value);
    else if ((value = header(one->head, length, "transfer-encoding:"))) one->chunked = true;
    else one->until_close = true;
    value = header(one->head, length, "connection:");
    one->closes = value && !strncasecmp(value, "close", 5);
    value = header(one->head, length, "content-type:");
    one->is_stream = value && !strncasecmp(value, "text/event-stream", 17);
    add(&first_byte, moment - one->begin);
    one->state = BODY;
    return (ssize_t)(size - (length - before));
}

/* 1: the answer is whole, 0: more is to come, -1: it is broken. */
static int read_answer(Connection *one, const char *data, size_t size, int64_t moment) {
    if (one->state != BODY) {
        ssize_t past = read_head(one, data, size, moment);
        if (past < 0) return past == -1 ? 0 : -1;
        data += size - (size_t)past;
        size = (size_t)past;
    }
    if (one->chunked) return read_chunked(one, data, size, moment);
    read_body(one, data, size, moment);
    if (one->until_close) return 0;
    one->left -= (int64_t)size;
    return one->left > 0 ? 0 : one->left == 0 ? 1 : -1;
}

static void finish(Connection *one, int64_t moment) {
    answers++;
    if (!ending) in_time++;
    add(&latency, moment - one->begin);
    if (one->closes) connect_anew(one);
    again(one);
}

static void receive(Connection *one) {
    static char data[1 << 18];
    ssize_t got = recv(one->socket, data, sizeof data, 0);
    int64_t moment = now();
    if (got < 0 && errno == EAGAIN) return;
    if (one->state == IDLE) {
        /* Nobody asked: the server ends a connection that has done its work. */
        watch(poll_, EPOLL_CTL_DEL, one->socket, false, one);
        return;
    }
    if (got <= 0) {
        if (got == 0 && one->state == BODY && one->until_close) {
            one->closes = true;
            finish(one, moment);
        } else {
            fail(one);
        }
        return;
    }
    int whole = read_answer(one, data, (size_t)got, moment);
    if (whole > 0) finish(one, moment);
    else if (whole < 0) fail(one);
}

static void read_request(const char *path) {
    FILE *file = fopen(path, "rb");
    if (!file) die(path);
    fseek(file, 0, SEEK_END);
    request_size = (size_t)ftell(file);
    rewind(file);
    request = claim(NULL, request_size);
    if (fread(request, 1, request_size, file) != request_size) die(path);
    fclose(file);
}

static void find_identity(void) {
    static const char name[] = "\r\nX-Request-Id: ";
    identity = memmem(request, request_size, name, sizeof name - 1);
    if (!identity) {
        fprintf(stderr, "the request has no X-Request-Id\n");
        exit(2);
    }
    identity += sizeof name - 1;
}

static void report(double seconds) {
    printf("{\"seconds\":%.4f,\"answers\":%llu,\"in_time\":%llu,\"errors\":%llu,\"not_ok\":%llu,"
           "\"not_ok_status\":%d,\"unfinished\":%zu,\"reconnects\":%llu,\"events\":%llu,"
           "\"bytes\":%llu,",
           seconds, (unsigned long long)answers, (unsigned long long)in_time,
           (unsigned long long)errors, (unsigned long long)not_ok, not_ok_status, under_way,
           (unsigned long long)reconnects, (unsigned long long)events_seen,
           (unsigned long long)bytes_seen);
    print_histogram("latency", &latency);
    print_histogram("first_byte", &first_byte);
    print_histogram("delay", &delay);
    printf("\"end\":true}\n");
}

int main(int count, char **words) {
    if (count < 6) {
        fprintf(stderr, "usage: generator ADDRESS PORT REQUEST CONNECTIONS SECONDS"
                        " [ramp=SECONDS] [once] [cut] [ids]\n");
        return 2;
    }
    target = address_of(words[1], atoi(words[2]));
    read_request(words[3]);
    size_t connections = (size_t)atol(words[4]), started = 0;
    double ramp = 0;
    bool cut = false;
    for (int i = 6; i < count; i++) {
        if (!strncmp(words[i], "ramp=", 5)) ramp = atof(words[i] + 5);
        once |= !strcmp(words[i], "once");
        cut |= !strcmp(words[i], "cut");
        if (!strcmp(words[i], "ids")) find_identity();
    }
    signal(SIGTERM, on_signal);
    poll_ = epoll_create1(0);
    Connection *all = calloc(connections, sizeof *all);
    if (!all) die("memory");
    static struct epoll_event events[EVENTS];
    int64_t start = now(), stop = start + (int64_t)(atof(words[5]) * SECOND), ended = stop;
    while (!ending || (under_way && !cut && now() < ended + PATIENCE)) {
        int64_t moment = now(), next = stop;
        for (; started < connections && !ending; started++) {
            int64_t due = start + (int64_t)(ramp * SECOND * (double)started / (double)connections);
            if (due > moment) {
                next = due;
                break;
            }
            connect_anew(&all[started]);
            begin(&all[started]);
        }
        if (!ending && (moment >= stop || told_to_end)) {
            ending = true;
            ended = moment;
            continue;
        }
        /* A signal that comes just before the wait is seen after a tenth of a second. */
        int64_t soon = moment + SECOND / 10;
        int ready = wait_events(poll_, events, ending || soon < next ? soon : next);
        for (int i = 0; i < ready; i++) {
            Connection *one = events[i].data.ptr;
            if (events[i].events & EPOLLOUT && one->state == SENDING) send_more(one);
            if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) receive(one);
        }
    }
    report((double)(ended - start) / SECOND);
    return 0;
}
