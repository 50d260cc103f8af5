/* A witness: looks again and again whether what nobody touched is as it was. SIGTERM ends it. */
#include <errno.h>
#include <fcntl.h>
#include <fenv.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

enum { WORDS = 1 << 17, PIPED = 3000, BETWEEN_NS = 200000000 };

static volatile sig_atomic_t alarms;
static volatile sig_atomic_t ended;

static void alarmed(int number)
{
    (void)number;
    alarms++;
}

static void terminated(int number)
{
    (void)number;
    ended = 1;
}

static uint64_t next(uint64_t *state)
{
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    return *state;
}

static int64_t now_ns(clockid_t clock)
{
    struct timespec now;
    clock_gettime(clock, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

static void check(int good, const char *what, long round)
{
    if (good)
        return;
    printf("%s changed in round %ld\n", what, round);
    exit(1);
}

/* What the kernel says of the machine, added up. */
static uint64_t machine(void)
{
    static const char *const files[] = {
        "/proc/cpuinfo", "/proc/version", "/proc/cmdline", "/proc/iomem", "/sys/firmware/fdt",
        "/sys/devices/system/cpu/online", "/sys/devices/system/clocksource/clocksource0/current_clocksource",
    };
    uint64_t sum = 14695981039346656037u;
    size_t i;
    for (i = 0; i < sizeof files / sizeof *files; i++) {
        unsigned char bytes[512];
        ssize_t n, at;
        int file = open(files[i], O_RDONLY);
        while (file >= 0 && (n = read(file, bytes, sizeof bytes)) > 0)
            for (at = 0; at < n; at++)
                sum = (sum ^ bytes[at]) * 1099511628211u;
        if (file >= 0)
            close(file);
        sum = (sum ^ (file >= 0)) * 1099511628211u;
    }
    return sum;
}

/* Rounded up, a third is the next number. */
static int rounds_up(void)
{
    volatile double one = 1, three = 3;
    double third = one / three;
    uint64_t bits;
    memcpy(&bits, &third, sizeof bits);
    return fegetround() == FE_UPWARD && bits == 0x3fd5555555555556u;
}

static int pipe_holds(int *ends, const unsigned char *expected)
{
    unsigned char bytes[PIPED];
    return read(ends[0], bytes, PIPED) == PIPED && !memcmp(bytes, expected, PIPED) &&
           write(ends[1], bytes, PIPED) == PIPED;
}

static void wait_between(void)
{
    int64_t until = now_ns(CLOCK_MONOTONIC) + BETWEEN_NS;
    while (!ended && now_ns(CLOCK_MONOTONIC) < until) {
        struct timespec pause = {0, BETWEEN_NS / 2};
        nanosleep(&pause, NULL);
    }
}

int main(void)
{
    uint64_t *memory = mmap(NULL, WORDS * sizeof *memory, PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    struct itimerval interval = {{0, 50000}, {0, 50000}};
    unsigned char piped[PIPED];
    uint64_t state = 88172645463325252u, first_sum;
    int64_t monotonic = now_ns(CLOCK_MONOTONIC), real = now_ns(CLOCK_REALTIME);
    int ends[2];
    long round, i;

    if (memory == MAP_FAILED || pipe(ends))
        return 2;
    for (i = 0; i < WORDS; i++)
        memory[i] = next(&state);
    for (i = 0; i < PIPED; i++)
        piped[i] = (unsigned char)next(&state);
    if (write(ends[1], piped, PIPED) != PIPED)
        return 2;
    first_sum = machine();
    fesetround(FE_UPWARD);
    signal(SIGALRM, alarmed);
    signal(SIGTERM, terminated);
    setitimer(ITIMER_REAL, &interval, NULL);
    for (round = 0; !ended; round++) {
        int before = alarms;
        int64_t then = monotonic, real_then = real;
        state = 88172645463325252u;
        for (i = 0; i < WORDS; i++)
            check(memory[i] == next(&state), "memory", round);
        check(pipe_holds(ends, piped), "the pipe", round);
        check(rounds_up(), "the rounding mode", round);
        check(machine() == first_sum, "the machine", round);
        monotonic = now_ns(CLOCK_MONOTONIC);
        real = now_ns(CLOCK_REALTIME);
        check(monotonic >= then, "the order of time", round);
        check(real >= real_then, "the order of the time of day", round);
        wait_between();
        check(ended || alarms > before, "the timer", round);
    }
    check(round > 1, "the number of rounds", round);
    printf("memory, pipe, rounding, machine, clocks and timer:\nall as it was\n");
    return 0;
}
