//! What the canonical state can say, and what is refused by name.

use crate::{CPU0, CPU1, CPUS, VM, busy, config};
use abide_gic::state::{GicKind, ItsState, Route, V2State};
use abide_gic::{Affinity, GicError, GicState, GicV3, IntId};

/// What taking `state` and saving it answer; both go through one gate.
fn refusal(change: impl FnOnce(&mut GicState)) -> GicError {
    let mut state = busy().state();
    change(&mut state);
    let refused = GicV3::from_state(&state).unwrap_err();
    assert_eq!(state.to_entries().unwrap_err(), refused);
    refused
}

fn not_offered(change: impl FnOnce(&mut GicState)) -> &'static str {
    match refusal(change) {
        GicError::NotOffered { what, .. } => what,
        other => panic!("{other}"),
    }
}

#[test]
fn parts_without_registers_are_refused_by_name() {
    let its = ItsState {
        iidr: 0x4b00_043b,
        typer: 0x1_ef71,
        enabled: true,
        cbaser: 0,
        creadr: 0,
        cwriter: 0,
        baser: [0; 8],
    };
    let v2 =
        V2State { sgi_sources: [0; 16], active_sources: [None; 16], gicc_ctlr: 1, nsapr: [0; 4] };
    assert_eq!(not_offered(|gic| gic.kind = GicKind::V2), "a GICv2");
    assert_eq!(not_offered(|gic| gic.its.push(its)), "an ITS");
    assert_eq!(not_offered(|gic| gic.cpus[1].enable_lpis = true), "LPIs");
    assert_eq!(not_offered(|gic| gic.cpus[1].pending_lpis.push(IntId(8192))), "LPIs");
    assert_eq!(not_offered(|gic| gic.cpus[0].v2 = Some(v2)), "a GICv2 CPU interface");
    for (text, change) in [
        ("EnableGrp0", (|gic| gic.dist.enable_grp0 = true) as fn(&mut GicState)),
        ("nASSGIreq", |gic| gic.dist.nassgireq = true),
        ("ARE", |gic| gic.dist.are = false),
        ("DS", |gic| gic.dist.ds = false),
        ("WAKER", |gic| gic.cpus[0].asleep = true),
        ("IGRPMODR", |gic| gic.dist.spis[9].grpmod = true),
        ("NSACR", |gic| gic.cpus[0].private[9].nsacr = 1),
        ("non-maskable", |gic| gic.dist.spis[0].nmi = true),
        ("IRM", |gic| gic.dist.spis[1].route = Route::OneOfN(Affinity(0))),
        ("target", |gic| gic.dist.spis[1].route = Route::Targets(3)),
        ("Aff3", |gic| gic.dist.spis[1].route = Route::Affinity(Affinity(1 << 24))),
    ] {
        let what = not_offered(change);
        assert!(what.contains(text), "{what}");
    }
}

#[test]
fn contents_that_cannot_be_are_named_with_their_place() {
    let irq = |change: fn(&mut GicState)| match refusal(change) {
        GicError::Irq { scope, intid, field, found, .. } => (scope, intid.0, field, found),
        other => panic!("{other}"),
    };
    assert_eq!(irq(|gic| gic.dist.spis[10].priority = 0x91), (VM, 42, "priority", 0x91));
    assert_eq!(irq(|gic| gic.cpus[1].private[3].line = Some(true)), (CPU1, 3, "line", 1));
    assert_eq!(irq(|gic| gic.cpus[0].private[3].edge = false), (CPU0, 3, "edge", 0));
    assert_eq!(irq(|gic| gic.cpus[0].private[27].edge = true), (CPU0, 27, "edge", 1));
    assert_eq!(irq(|gic| gic.dist.spis[0].route = Route::Private), (VM, 32, "route", 0));

    let field = |change: fn(&mut GicState)| match refusal(change) {
        GicError::Field { scope, field, found, .. } => (scope, field, found),
        other => panic!("{other}"),
    };
    assert_eq!(field(|gic| gic.iidr = 0x43b), (VM, "GICD_IIDR", 0x43b));
    assert_eq!(field(|gic| gic.iidr = 0x4b00_143b), (VM, "GICD_IIDR", 0x4b00_143b));
    assert_eq!(field(|gic| gic.typer |= 1 << 17), (VM, "GICD_TYPER", 0x4a_0002));
    assert_eq!(field(|gic| gic.typer2 = 1 << 8), (VM, "GICD_TYPER2", 0x100));
    assert_eq!(field(|gic| gic.cpus[0].last = true), (CPU0, "GICR_TYPER.Last", 1));
    assert_eq!(field(|gic| gic.cpus[0].iidr = 0), (CPU0, "GICR_IIDR", 0));
    assert_eq!(
        field(|gic| gic.cpus[1].processor_number = 7),
        (CPU1, "GICR_TYPER.Processor_Number", 7)
    );
    assert_eq!(field(|gic| gic.cpus[1].icc.pri_bits = 7), (CPU1, "priority bits", 7));
    assert_eq!(field(|gic| gic.cpus[1].icc.bpr0 = 8), (CPU1, "ICC_BPR0_EL1", 8));
    assert_eq!(field(|gic| gic.cpus[1].icc.ap1r[2] = 4), (CPU1, "ICC_AP1R1-3_EL1", 4));
}

#[test]
fn counts_and_cpus_are_checked() {
    assert_eq!(
        refusal(|gic| gic.dist.spis.truncate(63)),
        GicError::Count { scope: VM, what: "SPIs", found: 63, allowed: 64 }
    );
    assert_eq!(refusal(|gic| gic.cpus.clear()), GicError::CpuCount { found: 0 });
    assert_eq!(refusal(|gic| gic.nr_irqs = 95), GicError::NrIrqs { found: 95 });
    assert_eq!(
        refusal(|gic| gic.cpus[1].affinity = CPUS[0]),
        GicError::SameAffinity { found: CPUS[0] }
    );
    assert_eq!(refusal(|gic| gic.cpus[0].icc.id_bits = 2), GicError::IdBits { found: 2 });
}

#[test]
fn unknown_lines_are_refused_until_someone_answers_for_them() {
    let mut state = busy().state();
    state.dist.spis[8].line = None;
    state.cpus[0].private[27].line = None;
    assert_eq!(
        GicV3::from_state(&state),
        Err(GicError::LineUnknown { scope: VM, intid: IntId(40) })
    );
    state.lower_unknown_lines();
    let gic = GicV3::from_state(&state).unwrap();
    assert_eq!(gic.state().dist.spis[8].line, Some(false));
    assert_eq!(gic.state().cpus[1].private[27].line, Some(true), "known ones stay");
}

#[test]
fn values_that_a_cpu_clamps_are_clamped() {
    let mut state = GicState::at_reset(&config()).unwrap();
    let icc = &mut state.cpus[0].icc;
    (icc.pmr, icc.bpr0, icc.bpr1) = (0xff, 0, 0);
    state.propbaser = 0;
    let taken = GicV3::from_state(&state).unwrap().state();
    let icc = &taken.cpus[0].icc;
    assert_eq!((icc.pmr, icc.bpr0, icc.bpr1, taken.propbaser), (0xf8, 2, 3, 0x180));
}

#[test]
fn reset_is_a_new_controller() {
    let state = GicState::at_reset(&config()).unwrap();
    assert_eq!(GicV3::new(config()).unwrap().state(), state);
    assert_eq!(state.irq(0, IntId(27)), Some(&state.cpus[0].private[27]));
    assert_eq!(state.irq(0, IntId(95)), state.dist.spis.last());
    assert_eq!((state.irq(0, IntId(96)), state.irq(2, IntId(0))), (None, None));
}
