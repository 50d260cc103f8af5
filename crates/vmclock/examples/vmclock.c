// SPDX-License-Identifier: Apache-2.0 OR MIT
/*
 * Prints what a clock page says, a field a line: /dev/vmclock0, or a file that holds a page.
 *
 *	cc -O2 -I crates/vmclock/include crates/vmclock/examples/vmclock.c -o vmclock
 *	./vmclock [PATH [COUNTER]]
 *
 * With a second argument the counter is that number, for pages of a counter that this CPU does not
 * have. Ends with 0 if there is a time, with 1 if there is none, with 2 if there is no page.
 */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "abide_vmclock.h"

static const char *const errors[] = {
	[ABIDE_VMCLOCK_OK] = "ok",
	[ABIDE_VMCLOCK_MAGIC] = "no clock page",
	[ABIDE_VMCLOCK_VERSION] = "a version that is not 1",
	[ABIDE_VMCLOCK_SIZE] = "a size that cannot be",
	[ABIDE_VMCLOCK_BUSY] = "busy",
	[ABIDE_VMCLOCK_UNRELIABLE] = "unreliable",
	[ABIDE_VMCLOCK_NO_CLOCK] = "no clock for this CPU",
	[ABIDE_VMCLOCK_SHIFT] = "a shift that cannot be",
};

static uint64_t given_counter;

static uint64_t given(void)
{
	return given_counter;
}

static void print_look(const struct abide_vmclock *clock, const struct abide_vmclock_look *look)
{
	printf("time_type=%u\n", clock->time_type);
	printf("seq_count=%" PRIu32 "\n", look->seq_count);
	printf("disruption_marker=%" PRIu64 "\n", look->disruption_marker);
	printf("vm_generation_counter=%" PRIu64 "\n", look->vm_generation_counter);
	printf("flags=%#" PRIx64 "\n", look->flags);
	printf("clock_status=%u\n", look->clock_status);
	printf("leap_indicator=%u\n", look->leap_indicator);
	if (look->flags & ABIDE_VMCLOCK_FLAG_TAI_OFFSET_VALID)
		printf("tai_offset_sec=%d\n", look->tai_offset_sec);
	printf("counter=%" PRIu64 "\n", look->counter);
}

static int print_time(const struct abide_vmclock *clock, const struct abide_vmclock_look *look)
{
	struct abide_vmclock_time time;
	enum abide_vmclock_error error = abide_vmclock_time(clock, look, &time);
	uint64_t ns;

	if (error) {
		printf("time=%s\n", errors[error]);
		return 1;
	}
	ns = (uint64_t)((unsigned __int128)time.frac_sec * 1000000000 >> 64);
	printf("time=%" PRIu64 ".%09" PRIu64 "\n", time.sec, ns);
	if (time.maxerror_ns == UINT64_MAX)
		printf("maxerror_ns=unknown\n");
	else
		printf("maxerror_ns=%" PRIu64 "\n", time.maxerror_ns);
	return 0;
}

int main(int argc, char **argv)
{
	const char *path = argc > 1 ? argv[1] : "/dev/vmclock0";
	size_t len = (size_t)sysconf(_SC_PAGESIZE);
	struct abide_vmclock clock;
	struct abide_vmclock_look look;
	enum abide_vmclock_error error;
	void *page;
	int file = open(path, O_RDONLY | O_CLOEXEC);

	if (file < 0 || (page = mmap(NULL, len, PROT_READ, MAP_SHARED, file, 0)) == MAP_FAILED) {
		fprintf(stderr, "%s: %s\n", path, strerror(errno));
		return 2;
	}
	error = abide_vmclock_open(&clock, page, len);
	if (error) {
		fprintf(stderr, "%s: %s\n", path, errors[error]);
		return 2;
	}
	if (argc > 2) {
		given_counter = strtoull(argv[2], NULL, 0);
		error = abide_vmclock_look_by(&clock, given, &look);
		/* The page's counter, whatever this CPU's is. */
		clock.counter_id = clock.counter_id == 0xff ? 0xff : ABIDE_VMCLOCK_COUNTER;
	} else {
		error = abide_vmclock_look(&clock, &look);
	}
	if (error) {
		printf("time=%s\n", errors[error]);
		return 1;
	}
	print_look(&clock, &look);
	return print_time(&clock, &look);
}
