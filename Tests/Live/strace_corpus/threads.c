/* Threads that wait for each other, for a time, and for a signal. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t changed = PTHREAD_COND_INITIALIZER;
static int turn;

static void *work(void *argument)
{
	int me = *(int *)argument;
	pthread_mutex_lock(&lock);
	while (turn != me) pthread_cond_wait(&changed, &lock);
	char *memory = mmap(NULL, 1 << 16, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	memory[0] = 1;
	munmap(memory, 1 << 16);
	nanosleep(&(struct timespec){0, 1000000}, NULL);
	turn++;
	pthread_cond_broadcast(&changed);
	pthread_mutex_unlock(&lock);
	return NULL;
}

static void on_signal(int number)
{
	(void)number;
}

int main(void)
{
	pthread_t threads[6];
	int numbers[6];
	for (int i = 0; i < 6; i++) {
		numbers[i] = i;
		pthread_create(&threads[i], NULL, work, &numbers[i]);
	}
	for (int i = 0; i < 6; i++) pthread_join(threads[i], NULL);

	struct timespec end;
	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_nsec = 0;
	pthread_mutex_lock(&lock);
	if (pthread_cond_timedwait(&changed, &lock, &end) != ETIMEDOUT) return 1;
	pthread_mutex_unlock(&lock);

	struct sigaction action = {.sa_handler = on_signal};
	sigaddset(&action.sa_mask, SIGHUP);
	sigaction(SIGUSR1, &action, NULL);
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGUSR2);
	sigaddset(&set, SIGTERM);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	raise(SIGUSR2);
	siginfo_t information;
	sigtimedwait(&set, &information, &(struct timespec){1, 0});
	raise(SIGUSR1);

	cpu_set_t cpus;
	sched_getaffinity(0, sizeof cpus, &cpus);
	sched_yield();
	struct itimerspec when = {.it_value = {0, 1000000}};
	timer_t timer;
	struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR2};
	timer_create(CLOCK_MONOTONIC, &event, &timer);
	timer_settime(timer, 0, &when, NULL);
	sigwaitinfo(&set, &information);
	timer_delete(timer);
	puts("done");
	return 0;
}
