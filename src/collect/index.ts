import type { AnyCollector } from "./contract.ts";
import { cpu } from "./cpu.ts";
import { disk } from "./disk.ts";
import { inodes } from "./inodes.ts";
import { load } from "./load.ts";
import { memory } from "./memory.ts";
import { network } from "./network.ts";
import { swap } from "./swap.ts";

/** Every collector there is; a new one is a file and a line here. */
export const collectors: readonly AnyCollector[] = [cpu, memory, disk, load, swap, inodes, network];

/** What `metrics.collectors` may name. */
export const collectorNames: readonly string[] = collectors.map(({ name }) => name);
