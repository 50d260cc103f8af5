/* Threads that count together: atomics, a mutex, a condition. */
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>

enum { THREADS = 6, ROUNDS = 20000 };

static atomic_long fetched;
static atomic_long exchanged;
static long guarded;
static double summed;
static int ready;
static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;

static void *work(void *argument)
{
    int i;
    pthread_mutex_lock(&mutex);
    while (!ready)
        pthread_cond_wait(&condition, &mutex);
    pthread_mutex_unlock(&mutex);
    for (i = 0; i < ROUNDS; i++) {
        long seen = atomic_load(&exchanged);
        atomic_fetch_add(&fetched, 1);
        while (!atomic_compare_exchange_weak(&exchanged, &seen, seen + 3))
            ;
        pthread_mutex_lock(&mutex);
        guarded++;
        summed += 0.5;
        pthread_mutex_unlock(&mutex);
    }
    return argument;
}

int main(void)
{
    pthread_t threads[THREADS];
    int i;
    for (i = 0; i < THREADS; i++)
        if (pthread_create(&threads[i], NULL, work, NULL))
            return 1;
    pthread_mutex_lock(&mutex);
    ready = 1;
    pthread_cond_broadcast(&condition);
    pthread_mutex_unlock(&mutex);
    for (i = 0; i < THREADS; i++)
        pthread_join(threads[i], NULL);
    printf("%ld %ld %ld %.1f\n", (long)fetched, (long)exchanged, guarded, summed);
    return 0;
}
