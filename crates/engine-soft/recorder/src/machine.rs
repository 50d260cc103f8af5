//! Runs cases in this very process.

use std::io;
use std::ptr;
use std::sync::atomic::{AtomicPtr, AtomicU32, Ordering};

use crate::cases::{
    CODE, Case, DATA, End, LITERALS, LITERALS_END, Outcome, PAD, State, WINDOW, WINDOW_SIZE,
    literal_at,
};

/// Everything within 128 MiB of the cases' code.
const ZEROS: u64 = CODE - 0x0800_0000;
const ZEROS_END: u64 = CODE + 0x0810_0000;

/// `FPSIMD_MAGIC` of a signal frame `[linux arch/arm64/include/uapi/asm/sigcontext.h]`.
const FPSIMD_MAGIC: u32 = 0x4650_8001;

/// `struct fpsimd_context` of a signal frame.
#[repr(C)]
struct FpsimdContext {
    magic: u32,
    size: u32,
    fpsr: u32,
    fpcr: u32,
    v: [u128; 32],
}

/// What the signal handler exchanges with [`Machine::run`].
#[derive(Clone)]
struct Exchange {
    /// The case's state; memory is not in it.
    state: State,
    pc: u64,
    signal: i32,
    /// The state of the recorder while the case runs.
    own: State,
    own_pc: u64,
}

const IDLE: u32 = 0;
const STARTING: u32 = 1;
const RUNNING: u32 = 2;

static PHASE: AtomicU32 = AtomicU32::new(IDLE);
static EXCHANGE: AtomicPtr<Exchange> = AtomicPtr::new(ptr::null_mut());

/// The memory that cases see.
pub struct Machine {
    exchange: Box<Exchange>,
}

impl Machine {
    /// Maps the memory and installs the signal handlers.
    pub fn new() -> io::Result<Self> {
        map(DATA, 0x2000, libc::PROT_READ | libc::PROT_WRITE)?;
        let all = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
        map(ZEROS, ZEROS_END - ZEROS, all)?;
        map(LITERALS, LITERALS_END - LITERALS, all)?;
        for address in (LITERALS..LITERALS_END).step_by(8) {
            // SAFETY: just mapped.
            unsafe {
                ptr::with_exposed_provenance_mut::<u64>(address as usize).write(literal_at(address))
            };
        }
        install_handlers()?;
        let zero = State {
            x: [0; 31],
            sp: 0,
            nzcv: 0,
            v: [0; 32],
            fpsr: 0,
            fpcr: 0,
            memory: [0; WINDOW_SIZE],
        };
        let exchange = Exchange { state: zero.clone(), pc: 0, signal: 0, own: zero, own_pc: 0 };
        Ok(Self { exchange: Box::new(exchange) })
    }

    /// Runs a case.
    pub fn run(&mut self, case: &Case) -> Outcome {
        let window = ptr::with_exposed_provenance_mut::<[u8; WINDOW_SIZE]>(WINDOW as usize);
        let code = ptr::with_exposed_provenance_mut::<u32>(case.at as usize);
        let words: Vec<u32> = case.words.iter().copied().chain([PAD]).collect();
        // SAFETY: both are mapped, and only this thread uses them.
        let kept: Vec<u32> = unsafe {
            window.write_unaligned(case.before.memory);
            (0..words.len()).map(|index| code.add(index).read()).collect()
        };
        write_code(code, &words);

        self.exchange.state = case.before.clone();
        self.exchange.pc = case.at;
        EXCHANGE.store(&raw mut *self.exchange, Ordering::SeqCst);
        PHASE.store(STARTING, Ordering::SeqCst);
        // SAFETY: the handler goes on behind the instruction, with every register as it was.
        unsafe { std::arch::asm!("brk #1") };
        let exchange = EXCHANGE.load(Ordering::SeqCst);
        // SAFETY: it is the box, and no signal handler uses it any more.
        let (mut after, pc, signal) =
            unsafe { ((*exchange).state.clone(), (*exchange).pc, (*exchange).signal) };
        // SAFETY: mapped.
        after.memory = unsafe { window.read_unaligned() };
        write_code(code, &kept);
        let end = match signal {
            libc::SIGTRAP => End::Break,
            libc::SIGILL => End::Undefined,
            other => End::Other(other as u64),
        };
        Outcome { end, pc, after }
    }
}

fn map(address: u64, length: u64, protection: i32) -> io::Result<()> {
    let flags =
        libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_FIXED_NOREPLACE | libc::MAP_NORESERVE;
    let wanted = ptr::with_exposed_provenance_mut(address as usize);
    // SAFETY: nothing that is mapped is replaced.
    let got = unsafe { libc::mmap(wanted, length as usize, protection, flags, -1, 0) };
    if got == wanted { Ok(()) } else { Err(io::Error::last_os_error()) }
}

/// Writes instructions and makes them visible to fetches.
fn write_code(code: *mut u32, words: &[u32]) {
    for (index, &word) in words.iter().enumerate() {
        // SAFETY: inside the memory for code.
        unsafe {
            let place = code.add(index);
            place.write_volatile(word);
            std::arch::asm!("dc cvau, {0}", "dsb ish", "ic ivau, {0}", in(reg) place);
        }
    }
    // SAFETY: barriers only.
    unsafe { std::arch::asm!("dsb ish", "isb") };
}

fn install_handlers() -> io::Result<()> {
    const STACK_SIZE: usize = 1 << 20;
    let stack = Box::leak(vec![0_u8; STACK_SIZE].into_boxed_slice());
    let stack =
        libc::stack_t { ss_sp: stack.as_mut_ptr().cast(), ss_flags: 0, ss_size: STACK_SIZE };
    // SAFETY: the stack is never freed.
    if unsafe { libc::sigaltstack(&raw const stack, ptr::null_mut()) } != 0 {
        return Err(io::Error::last_os_error());
    }
    for signal in [libc::SIGTRAP, libc::SIGILL, libc::SIGSEGV, libc::SIGBUS] {
        // SAFETY: all zeros is a valid value; the handler has the form that SA_SIGINFO demands.
        unsafe {
            let mut action: libc::sigaction = std::mem::zeroed();
            action.sa_sigaction = handle as *const () as usize;
            action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK;
            if libc::sigaction(signal, &raw const action, ptr::null_mut()) != 0 {
                return Err(io::Error::last_os_error());
            }
        }
    }
    Ok(())
}

/// Exchanges the interrupted state with that of the case or, at its end, with the recorder's own.
extern "C" fn handle(signal: i32, _: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: the kernel hands over a ucontext_t; `run` waits in its `brk` and holds no reference.
    unsafe {
        let context = &mut (*context.cast::<libc::ucontext_t>()).uc_mcontext;
        let exchange = &mut *EXCHANGE.load(Ordering::SeqCst);
        match PHASE.load(Ordering::SeqCst) {
            STARTING => {
                read(context, &mut exchange.own);
                exchange.own_pc = context.pc + 4;
                write(context, &exchange.state, exchange.pc);
                PHASE.store(RUNNING, Ordering::SeqCst);
            }
            RUNNING => {
                read(context, &mut exchange.state);
                exchange.pc = context.pc;
                exchange.signal = signal;
                write(context, &exchange.own, exchange.own_pc);
                PHASE.store(IDLE, Ordering::SeqCst);
            }
            // A signal of the recorder's own making: nothing to go on with.
            _ => libc::_exit(101),
        }
    }
}

/// The frame's vector registers.
///
/// # Safety
/// `context` must be that of a signal frame.
unsafe fn vectors(context: &mut libc::mcontext_t) -> *mut FpsimdContext {
    // The record comes first where the kernel writes it [linux arch/arm64/kernel/signal.c].
    let frame = (&raw mut *context).cast::<u8>();
    // `__reserved` follows fault_address, 31 registers, sp, pc and pstate, aligned to 16 bytes.
    // SAFETY: inside the context.
    let record = unsafe { frame.add((8_usize * 35).next_multiple_of(16)) }.cast::<FpsimdContext>();
    // SAFETY: as above.
    if unsafe { (*record).magic } != FPSIMD_MAGIC {
        // SAFETY: ends the process.
        unsafe { libc::_exit(102) };
    }
    record
}

/// # Safety
/// As [`vectors`].
unsafe fn read(context: &mut libc::mcontext_t, state: &mut State) {
    for (to, from) in state.x.iter_mut().zip(context.regs) {
        *to = from;
    }
    state.sp = context.sp;
    state.nzcv = context.pstate & 0xf000_0000;
    // SAFETY: as promised.
    unsafe {
        let record = vectors(context);
        (state.fpsr, state.fpcr, state.v) = ((*record).fpsr, (*record).fpcr, (*record).v);
    }
}

/// # Safety
/// As [`vectors`].
unsafe fn write(context: &mut libc::mcontext_t, state: &State, pc: u64) {
    for (to, from) in context.regs.iter_mut().zip(state.x) {
        *to = from;
    }
    context.sp = state.sp;
    context.pc = pc;
    context.pstate = context.pstate & !0xf000_0000 | state.nzcv;
    // SAFETY: as promised.
    unsafe {
        let record = vectors(context);
        ((*record).fpsr, (*record).fpcr, (*record).v) = (state.fpsr, state.fpcr, state.v);
    }
}
