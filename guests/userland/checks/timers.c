/* Counts every expiration of a timer until SIGTERM: none may be lost or come too early. */
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { PERIOD_NS = 10000000 };

static volatile sig_atomic_t ended;

static void terminated(int number)
{
    (void)number;
    ended = 1;
}

static int64_t now_ns(void)
{
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000LL + now.tv_nsec;
}

int main(void)
{
    struct itimerspec timer = {{0, PERIOD_NS}, {0, 0}};
    int64_t count = 0, looks = 0, then = now_ns(), first_ns = then + PERIOD_NS;
    struct pollfd ready;

    ready.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    ready.events = POLLIN;
    timer.it_value.tv_sec = first_ns / 1000000000;
    timer.it_value.tv_nsec = first_ns % 1000000000;
    if (ready.fd < 0 || timerfd_settime(ready.fd, TFD_TIMER_ABSTIME, &timer, NULL))
        return 2;
    signal(SIGTERM, terminated);
    while (!ended) {
        uint64_t more = 0;
        int64_t before, now, least, most;
        if (poll(&ready, 1, 60000) == 0) {
            printf("the timer stands still after %lld expirations\n", (long long)count);
            return 1;
        }
        before = now_ns();
        if (read(ready.fd, &more, sizeof more) == sizeof more)
            count += more;
        now = now_ns();
        looks++;
        if (before < then || now < before) {
            printf("time went back, from %lld to %lld ns\n", (long long)then, (long long)before);
            return 1;
        }
        then = now;
        /* As many as there must have been at the one look at the clock or the other. */
        least = before < first_ns ? 0 : (before - first_ns) / PERIOD_NS + 1;
        most = now < first_ns ? 0 : (now - first_ns) / PERIOD_NS + 1;
        if (more && (count < least || count > most)) {
            printf("%lld expirations instead of %lld to %lld\n", (long long)count,
                   (long long)least, (long long)most);
            return 1;
        }
    }
    if (looks < 10) {
        printf("woken only %lld times\n", (long long)looks);
        return 1;
    }
    printf("every expiration of the timer came, and time never went back\n");
    return 0;
}
