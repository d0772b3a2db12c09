//! The books of the answering network, as `bpftool` reads them from the kernel.

use std::{net::Ipv4Addr, process::Command};

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;

/// What came to the far end since it was last told how to answer.
#[derive(Clone, Default)]
pub(crate) struct Counters {
    values: Value,
}

impl Counters {
    /// One of the fields of `struct counters` in `ground.bpf.c`.
    pub(crate) fn get(&self, name: &str) -> u64 {
        self.values[name].as_u64().unwrap_or_default()
    }

    /// Packets of the scanner: all but the resets with which its kernel meets answers that
    /// it did not ask for.
    pub(crate) fn asked(&self) -> u64 {
        self.get("packets") - self.get("rst")
    }

    /// SYNs a second between the first and the last that was marked.
    pub(crate) fn syns_per_second(&self) -> f64 {
        let nanoseconds = self.get("marked_at") - self.get("first_at");
        if nanoseconds == 0 {
            return 0.0;
        }
        (self.get("marked") - 1) as f64 * 1e9 / nanoseconds as f64
    }
}

/// The maps of a loaded program.
pub(crate) struct Maps {
    counters: u64,
    assets: u64,
}

impl Maps {
    /// Those of the program with that number.
    pub(crate) fn of(program: u64) -> Result<Self> {
        let shown = bpftool(&["prog", "show", "id", &program.to_string()])?;
        let numbers: Vec<u64> =
            shown["map_ids"].as_array().into_iter().flatten().filter_map(Value::as_u64).collect();
        let mut maps = Self { counters: 0, assets: 0 };
        for number in numbers {
            let map = bpftool(&["map", "show", "id", &number.to_string()])?;
            match map["name"].as_str() {
                Some("assets") => maps.assets = number,
                Some(name) if name.ends_with(".bss") => maps.counters = number,
                _ => {}
            }
        }
        ensure!(maps.counters > 0, "the program has no counters");
        Ok(maps)
    }

    pub(crate) fn counters(&self) -> Result<Counters> {
        let dump = bpftool(&["map", "dump", "id", &self.counters.to_string()])?;
        let values = dump[0]["formatted"]["value"][".bss"][0]["counters"].clone();
        ensure!(values["packets"].is_u64(), "no counters in {dump}");
        Ok(Counters { values })
    }

    /// Questions to a watched asset in each second since its first.
    pub(crate) fn seconds(&self, address: Ipv4Addr) -> Result<Vec<u64>> {
        let [low, high, ..] = (address.to_bits() & 4095).to_le_bytes();
        let (id, low, high) = (self.assets.to_string(), low.to_string(), high.to_string());
        let found = bpftool(&["map", "lookup", "id", &id, "key", &low, &high, "0", "0"])?;
        let seconds = found["formatted"]["value"]["seconds"].as_array().context("no seconds")?;
        Ok(seconds.iter().filter_map(Value::as_u64).collect())
    }
}

fn bpftool(arguments: &[&str]) -> Result<Value> {
    let output = Command::new("bpftool").arg("-j").args(arguments).output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "bpftool {arguments:?}: {said}");
    Ok(serde_json::from_slice(&output.stdout)?)
}
