//! Saving and restoring through registers alone, with the kernel's manners.

use crate::kernel::Kernel;
use crate::{CPU0, CPU1, CPUS, VM, busy, config, id_of, number, saved};
use abide_gic::{
    Affinity, GicConfig, GicState, GicV3, IccIds, Step, TransferError, restore, restore_plan, save,
};
use abide_reg::{RegError, RegId, Scope, Value};

fn differs(error: &TransferError) -> (Scope, &'static str, u64) {
    match error {
        TransferError::Differs { scope, name, found, .. } => (*scope, name, number(found)),
        other => panic!("{other}"),
    }
}

#[test]
fn fresh_kernel_saves_the_bytes_of_a_fresh_software_controller() {
    let mut kernel = Kernel::new(config());
    let soft = GicState::at_reset(&config()).unwrap().to_entries().unwrap();
    assert_eq!(save(&mut kernel, 96, &CPUS).unwrap(), soft);
    assert!(kernel.writes.is_empty());
}

#[test]
fn bpr1_behind_cbpr_is_saved_and_cbpr_is_put_back() {
    let before = busy().state();
    let mut kernel = Kernel::of(busy());
    // Of an edge-triggered line that is high the kernel knows nothing.
    let mut expected = before.clone();
    expected.dist.spis[1].line = Some(false);
    assert_eq!(save(&mut kernel, 96, &CPUS).unwrap(), expected.to_entries().unwrap());
    assert_eq!(kernel.gic.state(), before);
    let ctlr = id_of(CPU1, "ICC_CTLR_EL1");
    assert_eq!(kernel.writes, [ctlr, ctlr]);
}

#[test]
fn cbpr_is_put_back_also_where_the_read_fails() {
    let before = busy().state();
    let mut kernel = Kernel::of(busy());
    kernel.failing.push(id_of(CPU1, "ICC_BPR1_EL1"));
    let error = save(&mut kernel, 96, &CPUS).unwrap_err();
    assert!(
        matches!(error, TransferError::Load { scope: CPU1, name: "ICC_BPR1_EL1", .. }),
        "{error}"
    );
    assert_eq!(kernel.gic.state(), before);
}

#[test]
fn state_reaches_a_fresh_and_a_used_kernel() {
    let state = busy().state();
    let mut used = Kernel::of(busy());
    for (offset, value) in [(0x104, u64::MAX), (0x304, u64::MAX), (0x204, u64::MAX)] {
        used.gic.dist_write(offset, 4, value);
        used.gic.redist_write(abide_reg::VcpuId(0), 0x1_0000 | (offset - 4), 4, value);
    }
    for mut kernel in [Kernel::new(config()), used] {
        restore(&mut kernel, &state).unwrap();
        assert_eq!(kernel.gic.state(), state);
    }
}

#[test]
fn restore_into_a_controller_of_another_shape_writes_nothing() {
    let state = busy().state();
    for (target, name, scope, found) in [
        (GicConfig::new(CPUS, 64), "NR_IRQS", VM, 64),
        (GicConfig::new(CPUS, 128), "NR_IRQS", VM, 128),
        (
            GicConfig::new([Affinity(0), Affinity(1), Affinity(2)], 96),
            "GICR_TYPER.low",
            CPU1,
            0x100,
        ),
    ] {
        let mut kernel = Kernel::new(target);
        let error = restore(&mut kernel, &state).unwrap_err();
        assert_eq!(differs(&error), (scope, name, found));
        assert_eq!(kernel.writes, []);
    }
    // One vCPU too few: its registers read as zero.
    let mut kernel = Kernel::new(GicConfig::new([Affinity(0)], 96));
    let error = restore(&mut kernel, &state).unwrap_err();
    assert_eq!(differs(&error), (CPU0, "GICR_TYPER.low", 0x10));
    assert_eq!(kernel.writes, []);
}

#[test]
fn every_silently_lost_write_is_found() {
    let state = busy().state();
    let mut found = 0;
    let plan = restore_plan(&state).unwrap();
    for step in &plan {
        let Step::Write { id, name, scope, .. } = step else { continue };
        // The clearing registers matter to used controllers alone: see the next test.
        if matches!(*name, "ICENABLER" | "ICACTIVER") {
            continue;
        }
        let fresh = Kernel::new(config());
        let reset = fresh.gic.load(*id).unwrap();
        let mut kernel = fresh;
        kernel.lost.push(*id);
        match restore(&mut kernel, &state) {
            Ok(()) => assert_eq!(kernel.gic.state(), state, "{scope} {name}, reset {reset}"),
            Err(error) => {
                let (at, which, _) = differs(&error);
                // With CBPR stuck, it is BPR1 that tells.
                assert_eq!((at, which), (*scope, *name));
                found += 1;
            }
        }
    }
    assert!(found >= 20, "{found}");
}

#[test]
fn clearing_registers_that_do_nothing_are_found_in_a_used_controller() {
    let state = GicState::at_reset(&config()).unwrap();
    for (clear, tells) in [
        (RegId::gic(1, 0x184), "GICD_ISENABLER1"),
        (RegId::gic(1, 0x384), "GICD_ISACTIVER1"),
        (RegId::gic(5, 0x1_0180), "GICR_ISENABLER0"),
        (RegId::gic(5, 0x1_0380), "GICR_ISACTIVER0"),
    ] {
        let mut kernel = Kernel::of(busy());
        kernel.lost.push(clear);
        let error = restore(&mut kernel, &state).unwrap_err();
        assert_eq!(differs(&error).1, tells);
    }
}

#[test]
fn host_with_another_cpu_interface_refuses() {
    let ids = IccIds { a3v: false, ..IccIds::default() };
    let mut kernel = Kernel::new(GicConfig { icc_ids: ids, ..config() });
    let error = restore(&mut kernel, &busy().state()).unwrap_err();
    let TransferError::Store { scope, name, source: RegError::Host { errno: 22, .. } } = error
    else {
        panic!("{error}")
    };
    assert_eq!((scope, name), (CPU0, "ICC_CTLR_EL1"));
    // The software controller is whatever the guest was born with.
    let mut soft = GicV3::new(GicConfig { icc_ids: ids, ..config() }).unwrap();
    restore(&mut soft, &busy().state()).unwrap();
    assert_eq!(soft.state(), busy().state());
}

#[test]
fn steps_stand_in_the_documented_order() {
    let plan = restore_plan(&busy().state()).unwrap();
    let written = |id: RegId| {
        let is_it = |step: &Step| matches!(step, Step::Write { id: at, .. } if *at == id);
        plan.iter().position(is_it).unwrap_or_else(|| panic!("{id}"))
    };
    let last_written = |id: RegId| {
        let is_it = |step: &Step| matches!(step, Step::Write { id: at, .. } if *at == id);
        plan.iter().rposition(is_it).unwrap_or_else(|| panic!("{id}"))
    };
    let first = plan.iter().position(|step| matches!(step, Step::Write { .. })).unwrap();
    assert_eq!(first, written(RegId::gic(1, 8)), "GICD_IIDR is the first write");
    let ones = Value::u32(u32::MAX);
    for base in [0x180, 0x380] {
        for (clear, set) in [
            (RegId::gic(1, base + 4), RegId::gic(1, base - 0x80 + 4)),
            (RegId::gic(5, 0x1_0001_0000 + base), RegId::gic(5, 0x1_0000_ff80 + base)),
        ] {
            assert!(written(clear) < written(set));
            assert!(matches!(&plan[written(clear)], Step::Write { value, .. } if *value == ones));
        }
    }
    let (icfgr, level, latch) = (RegId::gic(1, 0xc08), RegId::gic(7, 32), RegId::gic(1, 0x204));
    assert!(written(RegId::gic(1, 0x6100)) < written(latch), "IROUTER before ISPENDR");
    assert!(written(icfgr) < written(level) && written(level) < written(latch));
    let (ctlr, bpr1, apr) =
        (id_of(CPU1, "ICC_CTLR_EL1"), id_of(CPU1, "ICC_BPR1_EL1"), id_of(CPU1, "ICC_AP1R0_EL1"));
    assert!(written(ctlr) < written(bpr1) && written(bpr1) < last_written(ctlr));
    assert!(last_written(ctlr) < written(apr));
    let pendbaser = id_of(CPU1, "GICR_PENDBASER.low");
    assert!(written(pendbaser) < written(id_of(CPU1, "GICR_CTLR")));
    // Nothing is left unread at the end.
    let expected = |id: RegId| {
        plan.iter().any(|step| matches!(step, Step::Expect { id: at, .. } if *at == id))
    };
    for (scope, entries) in saved() {
        for entry in entries {
            assert!(expected(entry.id), "{scope} {}", entry.id);
        }
    }
}

#[test]
fn saving_what_cannot_be_is_refused() {
    let mut kernel = Kernel::of(busy());
    assert!(matches!(save(&mut kernel, 1024, &CPUS), Err(TransferError::State(_))));
    assert!(matches!(save(&mut kernel, 96, &[]), Err(TransferError::State(_))));
    // A controller of fewer INTIDs than asked for.
    let error = save(&mut kernel, 128, &CPUS).unwrap_err();
    assert!(matches!(error, TransferError::State(_)), "{error}");
    // LPIs that a kernel's controller has enabled are not lost in silence.
    let mut with_its = Kernel::new(config());
    with_its.raw.insert(id_of(VM, "GICD_TYPER"), Value::u32(0x7a_0002));
    let error = save(&mut with_its, 96, &CPUS).unwrap_err();
    assert!(error.to_string().contains("GICD_TYPER is 0x7a0002"), "{error}");
}
