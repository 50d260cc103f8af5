//! Several vCPUs at the same time: what a second one gains, what a TLB shootdown costs, how long a
//! pause takes. Figures with their conditions, of the software engine.
//!
//! Not by criterion: what is measured are single events, whose spread is the point.
#![expect(clippy::print_stdout, reason = "a benchmark's result is what it prints")]

#[path = "../tests/support/mod.rs"]
mod support;

use abide_machine::TimeSource;
use abide_machine::runner::{Command, Reply};
use abide_testkit::guest::{Program, asm, sysreg, x};
use std::time::{Duration, Instant};
use support::smp::{DSB_ISH, OWN, WFE, add_atomically, image, machine, run, run_asked, word};

fn main() {
    let cpus = std::thread::available_parallelism().map_or(0, usize::from);
    println!("host: {cpus} CPUs; other load shows in every figure");
    scaling();
    shootdown(8);
    for vcpus in [1, 8, 64] {
        pause(vcpus);
    }
}

/// The least, the middle and the most.
fn spread(mut values: Vec<f64>) -> [f64; 3] {
    values.sort_by(f64::total_cmp);
    [values[0], values[values.len() / 2], values[values.len() - 1]]
}

/// Each vCPU computes the same in registers, once all are there; in its data the time it took.
fn computing(vcpus: u32) -> Vec<u8> {
    const LOOPS: u64 = 10_000_000;
    image(vcpus, |program, _| {
        meet(program, vcpus);
        let again = program.label();
        program.mov64(x(24), LOOPS);
        program.bind(again);
        asm!(program.assembler()
            ; add x0, x0, x24
            ; eor x1, x1, x0, lsl 3
            ; add x1, x1, x0
            ; sub x24, x24, 1
            ; cbnz x24, =>again
        );
    })
}

/// Lets every vCPU wait for the others.
fn meet(program: &mut Program, vcpus: u32) {
    let (again, met) = (program.label(), program.label());
    add_atomically(program, 8);
    program.bind(again);
    asm!(program.assembler(); ldr x0, [x20, 8]; cmp x0, vcpus; b.eq =>met);
    program.word(WFE);
    program.branch(again);
    program.bind(met);
}

/// What one of something took, and two at the same time.
struct Pair {
    one: Duration,
    two: Duration,
}

impl Pair {
    fn timed(mut work: impl FnMut(u32)) -> Self {
        let mut time = |count| {
            let begin = Instant::now();
            work(count);
            begin.elapsed()
        };
        Self { one: time(1), two: time(2) }
    }

    /// How much more comes in the same time: 2 where neither hinders the other.
    fn gain(&self) -> f64 {
        2.0 * self.one.as_secs_f64() / self.two.as_secs_f64()
    }
}

/// What two vCPUs do in the time of one, beside what the host gives two plain threads that share
/// nothing, in turns: a host with other work does not always give two CPUs.
fn scaling() {
    const ROUNDS: usize = 15;
    let (mut gains, mut limits, mut shares, mut costs) = (vec![], vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        let plain = Pair::timed(plain_threads);
        let mut ticks = Vec::new();
        let guest = Pair::timed(|vcpus| {
            let begin = user_ticks();
            run(&mut machine(vcpus, &computing(vcpus), TimeSource::Host));
            ticks.push(user_ticks() - begin);
        });
        gains.push(guest.gain());
        limits.push(plain.gain());
        shares.push(guest.gain() / plain.gain());
        costs.push(ticks[1] / (2.0 * ticks[0]));
    }
    for (what, values) in [
        ("throughput of 2 vCPUs / of 1", gains),
        ("throughput of 2 plain threads / of 1, the host's limit", limits),
        ("the first / the second, round by round", shares),
        ("CPU time per instruction, 2 vCPUs / 1", costs),
    ] {
        let [min, median, max] = spread(values);
        println!("{what}: min {min:.2}, median {median:.2}, max {max:.2}");
    }
}

/// So many threads that compute in registers, each the same.
fn plain_threads(count: u32) {
    const LOOPS: u64 = 150_000_000;
    let compute = || {
        let mut value = std::hint::black_box(1_u64);
        for round in 0..LOOPS {
            value = std::hint::black_box((value ^ (value << 3)).wrapping_add(round));
        }
    };
    std::thread::scope(|scope| (0..count).for_each(|_| drop(scope.spawn(compute))));
}

/// The user CPU time of this process, in ticks `[linux Documentation/filesystems/proc.rst 1.1]`.
fn user_ticks() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
    fields.split_whitespace().nth(11).and_then(|ticks| ticks.parse().ok()).unwrap_or(f64::NAN)
}

/// The first vCPU computes a little, sends a TLBI and waits at DSB, again and again, while all
/// others compute. Its time is the guest's own counter.
fn shootdown(vcpus: u32) {
    const TIMES: u32 = 200;
    const TLBI_VMALLE1IS: u32 = 0xd508_831f;
    let image = image(vcpus, |program, _| {
        let [others, again, spin, end] = [(); 4].map(|()| program.label());
        meet(program, vcpus);
        asm!(program.assembler(); add x25, x20, OWN; mov x24, TIMES as u64);
        program.branch_if_not_zero(x(19), others);
        let compute = program.label();
        program.bind(again);
        program.mov64(x(28), 50_000);
        program.bind(compute);
        asm!(program.assembler(); sub x28, x28, 1; cbnz x28, =>compute);
        program.mrs(x(26), sysreg::CNTVCT_EL0);
        program.word(TLBI_VMALLE1IS);
        program.word(DSB_ISH);
        program.mrs(x(27), sysreg::CNTVCT_EL0);
        asm!(program.assembler()
            ; sub x27, x27, x26
            ; str x27, [x25], 8
            ; sub x24, x24, 1
            ; cbnz x24, =>again
            ; str x20, [x20, 16]
        );
        program.branch(end);
        program.bind(others);
        program.bind(spin);
        asm!(program.assembler(); ldr x0, [x20, 16]; cbz x0, =>spin);
        program.bind(end);
    });
    let mut guest = machine(vcpus, &image, TimeSource::Host);
    run(&mut guest);
    let ticks_per_us = f64::from(u32::try_from(guest.board().cntfrq_hz).unwrap_or(1)) / 1e6;
    let stall_us = |at: u32| {
        let ticks = u32::try_from(word(&guest, OWN + 8 * at)).unwrap_or(u32::MAX);
        f64::from(ticks) / ticks_per_us
    };
    let [min, median, max] = spread((0..TIMES).map(stall_us).collect());
    println!(
        "TLBI and DSB while {} others compute: min {min:.0} us, median {median:.0} us, max \
         {max:.0} us",
        vcpus - 1
    );
}

/// From the request until every vCPU rests, while all compute with interrupts masked.
fn pause(vcpus: u32) {
    const TIMES: usize = 30;
    let spinning = image(vcpus, |program, _| program.spin());
    let mut guest = machine(vcpus, &spinning, TimeSource::Host);
    let mut pauses_us = Vec::new();
    run_asked(&mut guest, |control| {
        let ask = |command| {
            let begin = Instant::now();
            let reply = control.ask(command);
            assert!(matches!(reply, Some(Reply::Done)), "{reply:?}");
            begin.elapsed().as_secs_f64() * 1e6
        };
        for _ in 0..TIMES {
            std::thread::sleep(Duration::from_millis(20));
            pauses_us.push(ask(Command::Pause));
            ask(Command::Resume);
        }
        ask(Command::Stop);
    });
    let [min, median, max] = spread(pauses_us);
    println!("pause of {vcpus} vCPUs: min {min:.0} us, median {median:.0} us, max {max:.0} us");
}
