//! The pool in which instances live, and how much of the process's addresses and mappings it takes.

use wasmtime::{Enabled, PoolingAllocationConfig};

use super::RuntimeOptions;
use super::engine::{MAX_CORE_INSTANCES, MAX_MEMORIES, MAX_MEMORY_LIMIT, MAX_TABLES};

const MIB: usize = 1024 * 1024;
/// Elements of a table.
const MAX_TABLE_ELEMENTS: usize = 100_000;
/// Memory that stays with a slot and is cleared by hand, so that a small guest (see the SDKs' 64 KiB
/// stack) starts without a page fault.
const KEEP_RESIDENT: usize = 256 * 1024;
const TABLE_KEEP_RESIDENT: usize = 64 * 1024;
const DECOMMIT_BATCH: usize = 16;
/// Instances beside those that run and those that are kept: modules that are tried, and slots that wait until
/// their memory is given back.
const SPARE: u32 = 16;
/// Instances that are kept for later deliveries, over all handlers.
const MAX_KEPT: u32 = 512;
/// Slots that stay mapped for the module that used them last. With fewer than there are modules, each
/// delivery maps and unmaps memory, which is seven times slower with 500 modules.
const MAX_MAPPED: u32 = 2048;
/// Memories in the pool. Each takes 4 GiB of addresses and a guard, all of them in one piece, and the largest
/// piece that a process has lies between the allocator's, at 2 TiB, and the program, at two thirds of 128 TiB.
/// This many leave a twentieth of it, and are nearly two for each of 10,000 deliveries.
const MAX_POOLED_MEMORIES: u32 = 20_000;

/// How many mappings Linux allows a process that nobody has changed it for (`vm.max_map_count`).
const MAPPINGS: u32 = 65_530;
/// Of them, for all that is no instance: the program, its threads, compiled code.
const MAPPINGS_BESIDE: u32 = 1_500;
/// A stack, and the page below that may not be touched.
const MAPPINGS_OF_STACK: u32 = 2;
/// What stands before the module's data, the data, what follows, and what may not be touched.
const MAPPINGS_OF_MEMORY: u32 = 4;

/// How many instances may be kept for later deliveries, on a host of so many deliveries at once.
pub(super) fn kept(max_instances: u32) -> u32 {
    max_instances.min(MAX_KEPT)
}

fn slots(max_instances: u32) -> u32 {
    max_instances + kept(max_instances) + SPARE
}

/// How many slots may stay mapped though nothing runs in them: none if the kernel would then refuse a mapping
/// to a delivery.
fn mapped(max_instances: u32) -> u32 {
    let slots = slots(max_instances);
    let taken = slots * (MAPPINGS_OF_STACK + MAPPINGS_OF_MEMORY) + MAPPINGS_BESIDE;
    let rest = MAPPINGS.saturating_sub(taken) / MAPPINGS_OF_MEMORY;
    rest.min(slots * 2).min(MAX_MAPPED)
}

pub(super) fn pool(options: &RuntimeOptions) -> PoolingAllocationConfig {
    let slots = slots(options.max_instances);
    let memory = options.max_memory.clamp(64 * 1024, MAX_MEMORY_LIMIT);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(slots)
        .total_stacks(slots)
        .total_gc_heaps(slots)
        .total_memories((slots * 2).min(MAX_POOLED_MEMORIES))
        .total_tables(slots * 4)
        .total_core_instances(slots * 32)
        .max_memories_per_component(MAX_MEMORIES)
        .max_tables_per_component(MAX_TABLES)
        .max_core_instances_per_component(MAX_CORE_INSTANCES)
        .max_memories_per_module(2)
        .max_tables_per_module(4)
        .table_elements(MAX_TABLE_ELEMENTS)
        .max_component_instance_size(8 * MIB)
        .max_core_instance_size(4 * MIB)
        .max_memory_size(usize::try_from(memory).unwrap_or(usize::MAX))
        .linear_memory_keep_resident(KEEP_RESIDENT)
        .table_keep_resident(TABLE_KEEP_RESIDENT)
        .decommit_batch_size(DECOMMIT_BATCH)
        .max_unused_warm_slots(mapped(options.max_instances))
        .pagemap_scan(if options.pagemap_scan {
            Enabled::Yes
        } else {
            Enabled::No
        });
    pool
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_number_of_deliveries_needs_more_mappings_than_linux_allows() {
        for max_instances in 1..=10_000 {
            let slots = slots(max_instances);
            let needed = slots * MAPPINGS_OF_STACK
                + (slots + mapped(max_instances)) * MAPPINGS_OF_MEMORY
                + MAPPINGS_BESIDE;
            assert!(needed <= MAPPINGS, "{max_instances} need {needed}");
        }
    }

    #[test]
    fn a_host_of_usual_size_keeps_as_many_as_run_and_leaves_many_slots_mapped() {
        assert_eq!(kept(256), 256);
        assert_eq!(mapped(256), 1056);
        assert_eq!(mapped(1000), MAX_MAPPED);
    }
}
