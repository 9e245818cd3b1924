import { fleetSeries, type FleetName } from "./fleet-series.ts";
import { type Chance, createChance } from "./random.ts";

/** What a kind of node does all day. */
interface Profile {
  /** Percent without load, and what the day adds. */
  readonly cpu: number;
  readonly swing: number;
  /** Noise of cpu, relative. */
  readonly noise: number;
  /** Percent. */
  readonly memory: number;
  /** KiB/s. */
  readonly io: number;
  /** KiB/s. */
  readonly net: number;
  readonly connections: number;
  readonly burstsAnHour: number;
  readonly collectsGarbage: boolean;
  /** How often another guest takes the processor. */
  readonly steal: number;
  /** How much the hour of the day counts, 0–1. */
  readonly daily: number;
  /** Runs long jobs. */
  readonly jobs: boolean;
}

const profiles = {
  idle: {
    cpu: 1.2,
    swing: 0.8,
    noise: 0.25,
    memory: 18,
    io: 12,
    net: 3,
    connections: 25,
    burstsAnHour: 0.5,
    collectsGarbage: false,
    steal: 0.15,
    daily: 0.2,
    jobs: false,
  },
  web: {
    cpu: 22,
    swing: 26,
    noise: 0.06,
    memory: 46,
    io: 160,
    net: 2_200,
    connections: 420,
    burstsAnHour: 2,
    collectsGarbage: true,
    steal: 0.05,
    daily: 1,
    jobs: false,
  },
  db: {
    cpu: 30,
    swing: 14,
    noise: 0.09,
    memory: 78,
    io: 5_200,
    net: 5_200,
    connections: 160,
    burstsAnHour: 3,
    collectsGarbage: false,
    steal: 0,
    daily: 0.6,
    jobs: false,
  },
  batch: {
    cpu: 4,
    swing: 2,
    noise: 0.15,
    memory: 30,
    io: 800,
    net: 250,
    connections: 60,
    burstsAnHour: 1.5,
    collectsGarbage: false,
    steal: 0.3,
    daily: 0.2,
    jobs: true,
  },
} as const satisfies Readonly<Record<string, Profile>>;

export type Kind = keyof typeof profiles;

/** The four kinds of node. */
export const kinds = ["idle", "web", "db", "batch"] as const satisfies readonly Kind[];

/** Rows of a day at ten seconds. */
export const rowsADay = 8_640;

const cores = 8;
const memoryMiB = 32_768;
const diskMiB = 491_520;
/** A node with more I/O than this, KiB/s, reads as it writes and overwrites what it has. */
const heavyIo = 2_000;

type Values = Record<FleetName, number>;

/** What everything else of a tick follows from. */
interface Activity {
  /** Ticks since the beginning. */
  readonly at: number;
  readonly hour: number;
  /** About 0–1. */
  readonly level: number;
  /** Share of the processors a job takes, 0 for none. */
  readonly job: number;
  /** More than 0 when cron runs. */
  readonly cron: number;
  /** KiB/s. */
  readonly io: number;
  readonly net: number;
  /** Percent. */
  readonly cpu: number;
}

/** One node of the generated fleet: daily pattern, noise, bursts, jobs, cron, garbage collection, log rotation. */
class FleetNode {
  readonly #profile: Profile;
  readonly #chance: Chance;
  readonly #phase: number;
  #at = 0;
  #slowNoise = 0;
  #fastNoise = 0;
  #burst = { size: 0, left: 0 };
  #job = { size: 0, left: 0 };
  #loads: [number, number, number];
  #coreBias = 0;
  #memory = { walk: 0, step: 0, garbage: 0, cached: memoryMiB * 0.3, slab: 420 };
  #pages = { dirty: 2, buffers: 80 };
  #disk: { used: number; inodes: number; rotatedDay: number };
  #connections: number;
  #timeWait = 0;
  #files: number;
  #received: number;
  #written = 3e10;
  #pressure = { cpu: 0, io: 0 };

  constructor(profile: Profile, chance: Chance) {
    this.#profile = profile;
    this.#chance = chance;
    const load = (profile.cpu / 100) * cores;
    this.#loads = [load, load, load];
    this.#disk = {
      used: diskMiB * (0.3 + 0.3 * chance.uniform()),
      inodes: 6 + 10 * chance.uniform(),
      rotatedDay: 0,
    };
    this.#connections = profile.connections;
    this.#files = 1_800 + profile.connections * 4;
    this.#received = 7e10 + chance.uniform() * 1e11;
    this.#phase = chance.uniform() * 0.1;
  }

  /** The values of the next tick. The order of the calls is the order in which chances are drawn. */
  next(): Values {
    const activity = this.#activity();
    const cpu = this.#cpu(activity);
    const load = this.#load(activity);
    const memory = this.#memoryValues(activity);
    const disk = this.#diskValues(activity);
    const tcp = this.#tcp(activity);
    const net = this.#net(activity);
    const kernel = this.#kernel(activity, net.net_packets_in);
    const pressure = this.#pressureValues(activity, cpu.cpu_iowait);
    const io = this.#io(activity);
    const totals = this.#totals(activity, io.disk_write);
    const { running, ...loads } = load;
    const late = this.#late(activity, {
      iowait: cpu.cpu_iowait,
      ios: io.disk_reads + io.disk_writes,
    });
    this.#at++;
    return {
      ...cpu,
      ...loads,
      ...memory,
      ...disk,
      ...io,
      ...net,
      ...tcp,
      ...kernel,
      ...pressure,
      ...totals,
      ...late,
      tcp_segments: net.net_packets_in * 0.93,
      processes_running: 1 + running,
    };
  }

  #drawBurst(): number {
    const { uniform, factor } = this.#chance;
    const burst = this.#burst;
    if (burst.left-- <= 0 && uniform() < this.#profile.burstsAnHour / 360) {
      burst.size = 0.3 + uniform() * 1.4;
      burst.left = Math.ceil(6 * factor(0.9));
    }
    if (burst.left <= 0) burst.size = 0;
    return burst.size;
  }

  #drawJob(): number {
    const { uniform } = this.#chance;
    const job = this.#job;
    if (!this.#profile.jobs || job.left-- > 0) return job.size;
    if (uniform() < 1 / 400) {
      job.size = 0.3 + 0.65 * uniform();
      job.left = Math.ceil(60 + 600 * uniform());
      this.#memory.step += memoryMiB * 0.2 * uniform();
    } else if (job.size > 0) {
      job.size = 0;
      this.#memory.step *= 0.3;
    }
    return job.size;
  }

  #level(hour: number, burst: number, cron: number): number {
    const { cpu, daily } = this.#profile;
    const week = Math.floor(this.#at / rowsADay) % 7 >= 5 ? 0.55 : 1;
    const sun = 0.5 - 0.5 * Math.cos(2 * Math.PI * ((hour - 4) / 24 + this.#phase));
    const base = Math.max(0.02, (1 - daily) * 0.6 + daily * sun * week * 1.1);
    return base * (1 + 0.25 * this.#slowNoise) + 0.6 * burst * (cpu > 3 ? 1 : 0.5) + cron * 0.15;
  }

  #activity(): Activity {
    const { normal, uniform, factor } = this.#chance;
    const profile = this.#profile;
    const at = this.#at;
    const hour = ((at * 10) / 3_600) % 24;
    this.#slowNoise = 0.985 * this.#slowNoise + 0.17 * normal() * 0.35;
    this.#fastNoise = 0.7 * this.#fastNoise + 0.7 * normal() * 0.5;
    const burst = this.#drawBurst();
    const job = this.#drawJob();
    const cron = at % 30 === 0 ? 0.25 : 0;
    const level = this.#level(hour, burst, cron);
    const { cpu: base, swing, noise } = profile;
    const cpu =
      (base * 0.35 + swing * level + base * 0.4 * burst) *
        (1 + noise * this.#fastNoise + noise * 0.7 * normal()) +
      (job > 0 ? 100 * job * (1 + 0.02 * normal()) : 0) +
      cron * 2 * uniform() +
      0.15 * Math.abs(normal());
    const io =
      profile.io * (0.3 + level) * factor(0.9) * (at % 3 === 0 ? 1.6 : 0.7) +
      (job > 0 ? 3_000 * factor(0.6) : 0);
    const net =
      profile.net * (0.15 + level) * factor(0.12) +
      (job > 0 ? 900 * factor(0.5) : 0) +
      1.2 * factor(0.5);
    return { at, hour, level, job, cron, io, net, cpu: Math.min(100, Math.max(0.1, cpu)) };
  }

  #cpu({ cpu, io, net }: Activity) {
    const { normal, uniform, factor, poisson } = this.#chance;
    const soft = Math.max(0, (net / 9_000) * 1.5 + 0.05 * Math.abs(normal()));
    const iowait = Math.max(0, (io / 6_000) * factor(0.5) * 0.8 - 0.05);
    const steal = uniform() < this.#profile.steal ? 0.1 * poisson(1) : 0;
    const share = 0.24 + 0.03 * this.#fastNoise + 0.01 * normal();
    const system = cpu * Math.max(0.1, share);
    this.#coreBias = 0.97 * this.#coreBias + 0.3 * normal();
    const core = (bias: number): number =>
      Math.min(100, Math.max(0, cpu * (1 + bias) + 1.5 * normal() * Math.sqrt(cpu / 20)));
    return {
      cpu,
      cpu_user: Math.max(0, cpu - system - soft - steal),
      cpu_system: system,
      cpu_iowait: iowait,
      cpu_irq: 0,
      cpu_softirq: soft,
      cpu_steal: steal,
      cpu_core0: core(0.04 * this.#coreBias),
      cpu_core1: core(-0.02 * this.#coreBias),
    };
  }

  /** The kernel's three averages, fed every five seconds. */
  #load({ cpu }: Activity) {
    const expected = (cpu / 100) * cores * 1.05;
    const queues = [this.#chance.poisson(expected), this.#chance.poisson(expected)];
    for (const queue of queues)
      for (const [index, seconds] of [60, 300, 900].entries()) {
        const load = this.#loads[index] ?? 0;
        this.#loads[index] = load + (queue - load) * (1 - Math.exp(-5 / seconds));
      }
    const [load1, load5, load15] = this.#loads;
    return { load1, load5, load15, running: queues[0] ?? 0 };
  }

  #anonymous({ level, cron }: Activity): number {
    const { normal, uniform } = this.#chance;
    const { cpu, swing, collectsGarbage } = this.#profile;
    const memory = this.#memory;
    memory.walk = 0.9995 * memory.walk + 4 * normal() * (cpu > 3 ? 1.5 : 0.6);
    if (uniform() < 1 / 1_500) memory.step += (uniform() - 0.45) * 900;
    memory.step *= 0.99995;
    if (collectsGarbage) {
      memory.garbage += 3 + 4 * level * uniform();
      if (memory.garbage > 1_500 + 300 * uniform()) memory.garbage = 100 * uniform();
    }
    const base = (this.#profile.memory / 100) * memoryMiB;
    const asked =
      base +
      memory.walk * 3 +
      memory.step +
      memory.garbage +
      level * swing * 12 +
      (cron > 0 ? 30 * uniform() : 0);
    return Math.min(memoryMiB * 0.93, Math.max(200, asked));
  }

  #memoryValues(activity: Activity) {
    const { normal, uniform } = this.#chance;
    const memory = this.#memory;
    const pages = this.#pages;
    const anonymous = this.#anonymous(activity);
    const movedMiB = (activity.io * 10) / 1_024;
    const dropped = uniform() < 1 / 3_000 ? -memory.cached * 0.3 * uniform() : 0;
    const cached = memory.cached + movedMiB * 0.15 + dropped;
    memory.cached = Math.max(300, Math.min(memoryMiB - anonymous - 600, cached));
    pages.dirty = Math.max(0, pages.dirty * 0.55 + movedMiB * 0.4 + 0.4 * Math.abs(normal()));
    const drift = 0.25 * normal() - (memory.slab - 420) * 0.0005;
    memory.slab = Math.max(200, memory.slab + drift + (uniform() < 0.002 ? 8 * normal() : 0));
    pages.buffers = Math.max(20, pages.buffers + (uniform() < 0.08 ? Math.sign(normal()) : 0));
    const used = anonymous + memory.slab * 0.6 + 150 + 3 * Math.abs(normal());
    return {
      memory: (100 * used) / memoryMiB,
      memory_used: used,
      memory_available: memoryMiB - used - 200,
      memory_cached: memory.cached,
      memory_buffers: pages.buffers,
      memory_dirty: pages.dirty,
      memory_slab: memory.slab,
      memory_anonymous: anonymous,
      swap_used: 0,
    };
  }

  /** Fills up slowly; logs are rotated at four in the morning. */
  #diskValues({ at, hour, io }: Activity) {
    const { normal, uniform } = this.#chance;
    const disk = this.#disk;
    const kept = this.#profile.io > heavyIo ? 0.02 : 0.2;
    disk.used +=
      ((io * 10) / 1_024) * 0.01 * kept +
      (uniform() < 0.15 ? 0.5 : 0) +
      (uniform() < 0.001 ? 300 * (uniform() - 0.5) : 0);
    const day = Math.floor(at / rowsADay);
    if (day !== disk.rotatedDay && hour > 3.9) {
      disk.rotatedDay = day;
      disk.used -= diskMiB * 0.006 * uniform();
    }
    disk.inodes += uniform() < 0.002 ? 0.02 * normal() : 0;
    return { disk: (100 * disk.used) / diskMiB, disk_used: disk.used, inodes: disk.inodes };
  }

  #tcp({ level }: Activity) {
    const { normal, poisson } = this.#chance;
    const usual = this.#profile.connections;
    this.#connections +=
      0.02 * (usual * (0.5 + level) - this.#connections) + normal() * Math.sqrt(usual) * 0.12;
    const inUse = Math.max(3, Math.round(this.#connections));
    this.#timeWait = Math.max(0, Math.round(0.6 * this.#timeWait + poisson(usual * level * 0.06)));
    this.#files += 0.03 * (1_500 + inUse * 4.2 - this.#files) + 6 * normal();
    return {
      tcp_connections: inUse,
      tcp_time_wait: this.#timeWait,
      file_descriptors: this.#files,
    };
  }

  #net({ net }: Activity) {
    const { uniform, factor } = this.#chance;
    return {
      net_receive: net,
      net_packets_in: net * 1.15 * factor(0.04) + 3 * uniform(),
      net_packets_out: net * 0.9 * factor(0.05) + 3 * uniform(),
      net_transmit: net * (this.#profile.cpu === profiles.db.cpu ? 1.6 : 0.8) * factor(0.1),
      net_errors: 0,
    };
  }

  #kernel({ cpu }: Activity, packets: number) {
    const { factor } = this.#chance;
    return {
      context_switches: (900 + cpu * cores * 55 + packets * 1.4) * factor(0.05),
      interrupts: (500 + cpu * cores * 28 + packets * 0.8) * factor(0.04),
    };
  }

  #pressureValues({ cpu }: Activity, iowait: number) {
    const { normal, factor } = this.#chance;
    const pressure = this.#pressure;
    const waiting = Math.max(0, (cpu - 30) * 0.25 + (2 * normal() * cpu) / 40);
    pressure.cpu = 0.4 * pressure.cpu + 0.6 * waiting;
    pressure.io = 0.4 * pressure.io + 0.6 * iowait * 1.4 * factor(0.3);
    return { pressure_cpu: pressure.cpu, pressure_io: pressure.io };
  }

  #read(io: number): number {
    const { uniform, factor } = this.#chance;
    if (this.#profile.io > heavyIo) return io * 0.8 * factor(0.7);
    return uniform() < 0.12 ? io * 0.4 * factor(1) : 0;
  }

  #io({ io }: Activity) {
    const { factor } = this.#chance;
    const read = this.#read(io);
    return {
      disk_read: read,
      disk_write: io,
      disk_writes: (io / 14) * factor(0.25),
      disk_reads: (read / 18) * factor(0.25),
    };
  }

  #totals({ net }: Activity, written: number) {
    this.#received += net * 10_240 + Math.floor(this.#chance.uniform() * 1_460);
    this.#written += Math.round((written * 10) / 4) * 4_096;
    return { net_received_total: this.#received, disk_written_total: this.#written };
  }

  /** What is drawn when everything else of the tick is known. */
  #late({ level, cpu, cron }: Activity, { iowait, ios }: { iowait: number; ios: number }) {
    const { uniform, factor, poisson } = this.#chance;
    return {
      disk_busy: Math.min(100, ios * 0.035 * factor(0.3)),
      disk_await: ios > 0 ? 0.4 + 1.2 * factor(0.5) * (1 + iowait) : 0,
      net_drops: uniform() < 0.003 ? poisson(1.5) : 0,
      tcp_retransmits: uniform() < 0.08 * Math.min(1, level) ? 0.1 * poisson(2) : 0,
      processes_blocked: uniform() < Math.min(0.5, iowait / 8) ? 1 + poisson(0.4) : 0,
      forks: (1.5 + cpu * 0.12) * factor(0.25) + (cron > 0 ? 6 : 0),
    };
  }
}

/** So many rows of a node, a column a series in the order of `fleetSeries`, as integers of its decimals. */
export function generate(kind: Kind, seed: number, rows: number): readonly Float64Array[] {
  const node = new FleetNode(profiles[kind], createChance(seed));
  const columns = fleetSeries.map(() => new Float64Array(rows));
  for (let row = 0; row < rows; row++) {
    const values: Readonly<Record<string, number>> = node.next();
    for (const [index, { name, decimals }] of fleetSeries.entries()) {
      const column = columns[index];
      if (column !== undefined) column[row] = Math.round((values[name] ?? 0) * 10 ** decimals);
    }
  }
  return columns;
}
