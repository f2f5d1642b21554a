//! What instances use: it is shown while it is fresh, and then not known any more.
//! How it is measured is tested where it is.

use std::time::Duration;

use control::{Event, Measured, Usage};

use crate::desire::{s, shop};
use crate::rig::{Rig, id};

fn uses(cores: f64, memory_bytes: u64) -> Usage {
    Usage { cpu: Duration::from_secs(1), cores: Some(cores), memory_bytes, processes: 1 }
}

fn measure(rig: &mut Rig, instances: &[(&str, Usage)]) {
    let instances = instances.iter().map(|&(name, usage)| (id(name), usage)).collect();
    rig.told(Event::Measured(Measured { instances, ..Measured::default() }));
}

#[test]
fn what_an_instance_uses_is_shown_until_it_is_old() {
    let mut rig = Rig::ready(&[shop(2, 2)]);
    let shown = |rig: &Rig| -> Vec<Option<Usage>> {
        rig.service("shop").instances.iter().map(|instance| instance.usage).collect()
    };
    assert_eq!(shown(&rig), [None, None]);
    let one = uses(0.5, 64);
    measure(&mut rig, &[("shop.2", one), ("shop.7", one), ("cart.1", one)]);
    assert_eq!(shown(&rig), [None, Some(one)]);
    rig.wait(s(2));
    assert_eq!(shown(&rig), [None, Some(one)]);
    rig.wait(s(2));
    assert_eq!(shown(&rig), [None, None]);
}
