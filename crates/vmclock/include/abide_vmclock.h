/* SPDX-License-Identifier: Apache-2.0 OR MIT */
/*
 * Reading a clock page from a program: what time it is, how wrong that may be, and whether the
 * guest was moved or copied since the program last looked. Nothing is allocated and nothing in the
 * page is trusted.
 *
 * The page is that of Linux' include/uapi/linux/vmclock-abi.h, as /dev/vmclock0 maps it: one page,
 * read-only, offset 0. C11 or newer, GCC or Clang, little-endian, 64 bits.
 *
 *	struct abide_vmclock clock;
 *	struct abide_vmclock_look look;
 *	struct abide_vmclock_time time;
 *
 *	if (abide_vmclock_open(&clock, page, page_len) ||
 *	    abide_vmclock_look(&clock, &look))
 *		return;
 *	abide_vmclock_note(&clock, &look);
 *	for (;;) {
 *		if (abide_vmclock_look(&clock, &look))
 *			continue;
 *		if (abide_vmclock_events(&clock, &look) & ABIDE_VMCLOCK_CLONED)
 *			make_keys_and_identities_anew();
 *		abide_vmclock_note(&clock, &look);
 *		if (!abide_vmclock_time(&clock, &look, &time))
 *			use(time.sec, time.frac_sec, time.maxerror_ns);
 *	}
 */
#ifndef ABIDE_VMCLOCK_H
#define ABIDE_VMCLOCK_H

#include <stddef.h>
#include <stdint.h>

#if __BYTE_ORDER__ != __ORDER_LITTLE_ENDIAN__
#error "the page is little-endian; this reader is for CPUs that are, too"
#endif

/* Why there is nothing, or no time. 0 is success. */
enum abide_vmclock_error {
	ABIDE_VMCLOCK_OK = 0,
	/* The region does not begin with "VCLK". */
	ABIDE_VMCLOCK_MAGIC,
	/* Not version 1. */
	ABIDE_VMCLOCK_VERSION,
	/* The region says that it is smaller than a clock, or larger than what is mapped. */
	ABIDE_VMCLOCK_SIZE,
	/* An update was under way at every attempt: the host may be stuck in one. */
	ABIDE_VMCLOCK_BUSY,
	/* The host says not to rely upon its time. */
	ABIDE_VMCLOCK_UNRELIABLE,
	/* The page tells of disruptions only, or counts by another counter than this CPU's. */
	ABIDE_VMCLOCK_NO_CLOCK,
	/* The page's shift is none that a time can be computed with. */
	ABIDE_VMCLOCK_SHIFT,
};

/* What happened since the reader last took note, as bits. */
enum abide_vmclock_event {
	/* The counter may have jumped: what was learnt about it is void. */
	ABIDE_VMCLOCK_DISRUPTED = 1,
	/* The guest may be one of several copies. */
	ABIDE_VMCLOCK_CLONED = 2,
};

/* Offsets and lengths of the page's fields, in bytes. */
#define ABIDE_VMCLOCK_LEN 0x70
#define ABIDE_VMCLOCK_LEN_MIN 0x68
#define ABIDE_VMCLOCK_BODY 0x10
#define ABIDE_VMCLOCK_BODY_WORDS ((ABIDE_VMCLOCK_LEN - ABIDE_VMCLOCK_BODY) / 8)

#define ABIDE_VMCLOCK_FLAG_TAI_OFFSET_VALID (UINT64_C(1) << 0)
#define ABIDE_VMCLOCK_FLAG_PERIOD_MAXERROR_VALID (UINT64_C(1) << 4)
#define ABIDE_VMCLOCK_FLAG_TIME_MAXERROR_VALID (UINT64_C(1) << 6)
#define ABIDE_VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT (UINT64_C(1) << 8)

/* The counter of this CPU, as the page numbers them. */
#if defined(__aarch64__)
#define ABIDE_VMCLOCK_COUNTER 0
#elif defined(__x86_64__)
#define ABIDE_VMCLOCK_COUNTER 1
#else
#define ABIDE_VMCLOCK_COUNTER 0xff
#endif

/* How often a look is tried again. An update takes less than a microsecond. */
#define ABIDE_VMCLOCK_ATTEMPTS 100000

/* A reader. */
struct abide_vmclock {
	const unsigned char *page;
	uint32_t size;
	uint8_t counter_id;
	/* One of the page's numbers for kinds of time: 0 UTC, 1 TAI, 2 monotonic. */
	uint8_t time_type;
	uint8_t has_noted;
	uint8_t tells_generation;
	uint64_t disruption_marker;
	uint64_t vm_generation_counter;
};

/* One consistent look: every field of it belongs to the same moment as the counter. */
struct abide_vmclock_look {
	uint32_t seq_count;
	uint64_t counter;
	uint64_t disruption_marker;
	uint64_t flags;
	uint8_t clock_status;
	uint8_t leap_second_smearing_hint;
	/* UTC - TAI in seconds, if the flags say so. */
	int16_t tai_offset_sec;
	uint8_t leap_indicator;
	uint8_t counter_period_shift;
	uint64_t counter_value;
	uint64_t counter_period_frac_sec;
	uint64_t counter_period_esterror_rate_frac_sec;
	uint64_t counter_period_maxerror_rate_frac_sec;
	uint64_t time_sec;
	uint64_t time_frac_sec;
	uint64_t time_esterror_nanosec;
	uint64_t time_maxerror_nanosec;
	/* 0 if the page has none. */
	uint64_t vm_generation_counter;
};

/* A moment. */
struct abide_vmclock_time {
	/* Seconds since the epoch of the page's kind of time, and the rest in units of 2^-64 s. */
	uint64_t sec;
	uint64_t frac_sec;
	/* How wrong it may be at most, in nanoseconds, rounded up; UINT64_MAX if the page does not say. */
	uint64_t maxerror_ns;
};

static inline uint32_t abide_vmclock_load32(const struct abide_vmclock *clock, size_t at)
{
	return __atomic_load_n((const uint32_t *)(clock->page + at), __ATOMIC_RELAXED);
}

static inline uint64_t abide_vmclock_load64(const struct abide_vmclock *clock, size_t at)
{
	return __atomic_load_n((const uint64_t *)(clock->page + at), __ATOMIC_RELAXED);
}

/* Reads the counter, not before the loads that stand before it. */
static inline uint64_t abide_vmclock_counter(void)
{
#if defined(__aarch64__)
	uint64_t value;

	__asm__ volatile("isb\n\tmrs %0, cntvct_el0" : "=r"(value) : : "memory");
	return value;
#elif defined(__x86_64__)
	uint32_t low, high;

	__asm__ volatile("lfence\n\trdtsc" : "=a"(low), "=d"(high) : : "memory");
	return (uint64_t)high << 32 | low;
#else
	return 0;
#endif
}

/* Begins to read a page of which `mapped` bytes can be read; it is aligned to 8 bytes. */
static inline enum abide_vmclock_error abide_vmclock_open(struct abide_vmclock *clock,
							   const void *page, size_t mapped)
{
	uint32_t kinds;

	*clock = (struct abide_vmclock){ .page = page };
	if (mapped < ABIDE_VMCLOCK_LEN_MIN)
		return ABIDE_VMCLOCK_SIZE;
	if (abide_vmclock_load32(clock, 0x00) != UINT32_C(0x4b4c4356))
		return ABIDE_VMCLOCK_MAGIC;
	kinds = abide_vmclock_load32(clock, 0x08);
	if ((kinds & 0xffff) != 1)
		return ABIDE_VMCLOCK_VERSION;
	clock->size = abide_vmclock_load32(clock, 0x04);
	if (clock->size < ABIDE_VMCLOCK_LEN_MIN || clock->size > mapped)
		return ABIDE_VMCLOCK_SIZE;
	clock->counter_id = kinds >> 16 & 0xff;
	clock->time_type = kinds >> 24;
	return ABIDE_VMCLOCK_OK;
}

/* The fields of these words. */
static inline void abide_vmclock_unpack(const struct abide_vmclock *clock, const uint64_t *words,
					struct abide_vmclock_look *look)
{
	uint64_t mixed = words[2];
	int has_generation;

	look->disruption_marker = words[0];
	look->flags = words[1];
	look->clock_status = mixed >> 16 & 0xff;
	look->leap_second_smearing_hint = mixed >> 24 & 0xff;
	look->tai_offset_sec = (int16_t)(mixed >> 32 & 0xffff);
	look->leap_indicator = mixed >> 48 & 0xff;
	look->counter_period_shift = mixed >> 56;
	look->counter_value = words[3];
	look->counter_period_frac_sec = words[4];
	look->counter_period_esterror_rate_frac_sec = words[5];
	look->counter_period_maxerror_rate_frac_sec = words[6];
	look->time_sec = words[7];
	look->time_frac_sec = words[8];
	look->time_esterror_nanosec = words[9];
	look->time_maxerror_nanosec = words[10];
	/* It came later: both the size and the flag must say that it is there. */
	has_generation = clock->size >= ABIDE_VMCLOCK_LEN &&
			 look->flags & ABIDE_VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT;
	look->vm_generation_counter = has_generation ? words[11] : 0;
}

/* Looks once, with the counter that `counter` reads. */
static inline enum abide_vmclock_error abide_vmclock_look_by(const struct abide_vmclock *clock,
							      uint64_t (*counter)(void),
							      struct abide_vmclock_look *look)
{
	/* The last word is only there in the longer form. */
	size_t count = ABIDE_VMCLOCK_BODY_WORDS - (clock->size < ABIDE_VMCLOCK_LEN);
	uint64_t words[ABIDE_VMCLOCK_BODY_WORDS] = { 0 };

	for (int attempt = 0; attempt < ABIDE_VMCLOCK_ATTEMPTS; attempt++) {
		uint32_t seq = abide_vmclock_load32(clock, 0x0c);

		if (seq & 1)
			continue;
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		for (size_t n = 0; n < count; n++)
			words[n] = abide_vmclock_load64(clock, ABIDE_VMCLOCK_BODY + 8 * n);
		look->counter = counter();
		__atomic_thread_fence(__ATOMIC_ACQUIRE);
		if (abide_vmclock_load32(clock, 0x0c) == seq) {
			look->seq_count = seq;
			abide_vmclock_unpack(clock, words, look);
			return ABIDE_VMCLOCK_OK;
		}
	}
	return ABIDE_VMCLOCK_BUSY;
}

/* Looks once, with this CPU's counter. */
static inline enum abide_vmclock_error abide_vmclock_look(const struct abide_vmclock *clock,
							   struct abide_vmclock_look *look)
{
	return abide_vmclock_look_by(clock, abide_vmclock_counter, look);
}

/* What happened since `abide_vmclock_note`: nothing before the first. */
static inline unsigned int abide_vmclock_events(const struct abide_vmclock *clock,
						const struct abide_vmclock_look *look)
{
	unsigned int events = 0;

	if (!clock->has_noted)
		return 0;
	if (look->disruption_marker != clock->disruption_marker)
		events |= ABIDE_VMCLOCK_DISRUPTED;
	if (look->vm_generation_counter != clock->vm_generation_counter)
		events |= ABIDE_VMCLOCK_CLONED;
	return events;
}

/* Takes note: events up to this look were acted upon. */
static inline void abide_vmclock_note(struct abide_vmclock *clock,
				      const struct abide_vmclock_look *look)
{
	clock->has_noted = 1;
	clock->tells_generation = clock->size >= ABIDE_VMCLOCK_LEN &&
				  look->flags & ABIDE_VMCLOCK_FLAG_VM_GEN_COUNTER_PRESENT;
	clock->disruption_marker = look->disruption_marker;
	clock->vm_generation_counter = look->vm_generation_counter;
}

/*
 * Whether the guest may be one of several copies made since `abide_vmclock_note`, by one load: the
 * host writes the page before a copy runs, and the counter is one word.
 */
static inline int abide_vmclock_is_copy(const struct abide_vmclock *clock)
{
	return clock->tells_generation &&
	       abide_vmclock_load64(clock, 0x68) != clock->vm_generation_counter;
}

/* How wrong the time of a look may be at most, in nanoseconds, rounded up. */
static inline uint64_t abide_vmclock_maxerror_ns(const struct abide_vmclock_look *look)
{
	const uint64_t bounds = ABIDE_VMCLOCK_FLAG_TIME_MAXERROR_VALID |
				ABIDE_VMCLOCK_FLAG_PERIOD_MAXERROR_VALID;
	uint64_t since = look->counter - look->counter_value;
	uint64_t sec, ns, whole;
	unsigned __int128 grown;

	if ((look->flags & bounds) != bounds)
		return UINT64_MAX;
	grown = (unsigned __int128)since * look->counter_period_maxerror_rate_frac_sec;
	/* Rounded up, and a unit for what the time itself was rounded by. */
	grown = (grown >> look->counter_period_shift) + 2;
	sec = (uint64_t)(grown >> 64);
	ns = (uint64_t)(((unsigned __int128)(uint64_t)grown * 1000000000 + UINT64_MAX) >> 64);
	if (__builtin_mul_overflow(sec, UINT64_C(1000000000), &whole) ||
	    __builtin_add_overflow(whole, ns, &whole) ||
	    __builtin_add_overflow(whole, look->time_maxerror_nanosec, &whole))
		return UINT64_MAX;
	return whole;
}

/* The time at a look. */
static inline enum abide_vmclock_error abide_vmclock_time(const struct abide_vmclock *clock,
							   const struct abide_vmclock_look *look,
							   struct abide_vmclock_time *time)
{
	uint64_t since = look->counter - look->counter_value;
	unsigned __int128 passed;

	if (clock->counter_id != ABIDE_VMCLOCK_COUNTER || clock->counter_id == 0xff)
		return ABIDE_VMCLOCK_NO_CLOCK;
	/* 2: synchronised, 3: was, and its bounds go on to hold. */
	if (look->clock_status != 2 && look->clock_status != 3)
		return ABIDE_VMCLOCK_UNRELIABLE;
	if (look->counter_period_shift > 63)
		return ABIDE_VMCLOCK_SHIFT;
	passed = (unsigned __int128)since * look->counter_period_frac_sec;
	passed = (passed >> look->counter_period_shift) + look->time_frac_sec;
	time->sec = look->time_sec + (uint64_t)(passed >> 64);
	time->frac_sec = (uint64_t)passed;
	time->maxerror_ns = abide_vmclock_maxerror_ns(look);
	return ABIDE_VMCLOCK_OK;
}

#endif
