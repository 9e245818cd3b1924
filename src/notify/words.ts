import type { ActionName } from "../core/action.ts";
import type { MessageKind } from "../core/alert.ts";
import type { Language, PressureName } from "../core/delivery.ts";
import type { Level } from "../core/rule.ts";

/** Every word of a message in one language. */
export interface Words {
  readonly language: Language;
  readonly levels: Readonly<Record<Level, string>>;
  readonly resolved: string;
  /** Of an alert that ended while it still breached: its rule is gone. */
  readonly closed: string;
  readonly closedText: string;
  readonly test: string;
  /** What stands behind a title to tell the kinds apart. */
  readonly kinds: Readonly<Record<Exclude<MessageKind, "firing" | "resolved" | "test">, string>>;
  /** Without a value when `value` is null. */
  readonly title: (what: string, value: string | null, node: string) => string;
  readonly testTitle: (node: string) => string;
  readonly testText: string;
  /** Names of indexes people know by another name; the others stand as they are. */
  readonly indexes: Readonly<Record<string, string>>;
  readonly labels: Readonly<Record<RowName, string>>;
  readonly pressures: Readonly<Record<PressureName, string>>;
  /** A text with the stretch of time it is of. */
  readonly over: (what: string, time: string) => string;
  readonly lowest: string;
  readonly highest: string;
  readonly units: { day: string; hour: string; minute: string; second: string };
  readonly runbook: string;
  readonly details: string;
  /** Where the sender of an alert of others shows it. */
  readonly source: string;
  /** What people may do about an alert, on buttons. */
  readonly actions: Readonly<Record<ActionName, string>>;
  readonly shortened: string;
  readonly colon: string;
  readonly comma: string;
  /** Where all alerts are shown. */
  readonly list: string;
  /** How many alerts there are on how many nodes. */
  readonly alertsOn: (alerts: number, nodes: number) => string;
  readonly countOf: (count: number, state: string) => string;
  readonly worst: (what: string) => string;
  /** Of incidents that began and ended before anybody was told. */
  readonly brief: string;
  /** What did not fit. */
  readonly more: (count: number) => string;
}

export type RowName =
  | "node"
  | "rule"
  | "condition"
  | "labels"
  | "value"
  | "recovered"
  | "last"
  | "threshold"
  | "peak"
  | "started"
  | "ended"
  | "duration"
  | "flaps"
  | "trend"
  | "processes"
  | "pressure"
  | "message";

const english: Words = {
  language: "en",
  levels: { info: "INFO", warning: "WARNING", critical: "CRITICAL" },
  resolved: "RESOLVED",
  closed: "CLOSED",
  closedText:
    "The rule was removed, disabled or is not for this node any more; the value has not recovered.",
  test: "TEST",
  kinds: { escalated: "escalated", repeated: "still firing", flapping: "flapping" },
  title: (what, value, node) => `${value === null ? what : `${what} ${value}`} on ${node}`,
  testTitle: (node) => `test message from ${node}`,
  testText: "This is a test of the channel; nothing is wrong.",
  indexes: {},
  labels: {
    node: "Node",
    rule: "Rule",
    condition: "Condition",
    labels: "Labels",
    value: "Current value",
    recovered: "Recovered value",
    last: "Last value",
    threshold: "Threshold",
    peak: "Peak",
    started: "Started",
    ended: "Ended",
    duration: "Duration",
    flaps: "Fired again",
    trend: "Trend",
    processes: "Top processes",
    pressure: "Pressure",
    message: "Message",
  },
  pressures: { cpu: "cpu", memory: "memory", io: "io" },
  over: (what, time) => `${what} (${time})`,
  lowest: "lowest",
  highest: "highest",
  units: { day: "d", hour: "h", minute: "min", second: "s" },
  runbook: "Runbook",
  details: "Details",
  source: "Source",
  actions: {
    ack: "Acknowledge",
    silence_hour: "Silence 1 h",
    silence_morning: "Silence until tomorrow",
  },
  shortened: "(shortened)",
  colon: ": ",
  comma: ", ",
  list: "All alerts",
  alertsOn: (alerts, nodes) =>
    `${alerts === nodes ? "" : `${alerts} alerts on `}${nodes} ${nodes === 1 ? "node" : "nodes"}`,
  countOf: (count, state) => `${count} ${state}`,
  worst: (what) => `worst ${what}`,
  brief: "fired and recovered in the meantime",
  more: (count) => `and ${count} more`,
};

const chinese: Words = {
  language: "zh-CN",
  levels: { info: "提示", warning: "警告", critical: "严重" },
  resolved: "已恢复",
  closed: "已关闭",
  closedText: "规则已删除、停用或不再适用于该节点，数值并未恢复。",
  test: "测试",
  kinds: { escalated: "级别升高", repeated: "仍在告警", flapping: "反复波动" },
  title: (what, value, node) => `${node} ${value === null ? what : `${what} ${value}`}`,
  testTitle: (node) => `来自 ${node} 的测试消息`,
  testText: "这是一条通道测试消息，没有任何异常。",
  indexes: {
    cpu: "CPU",
    memory: "内存",
    disk: "磁盘",
    swap: "交换空间",
    net_receive: "网络接收",
    net_transmit: "网络发送",
    net_errors: "网络错误",
  },
  labels: {
    node: "节点",
    rule: "规则",
    condition: "条件",
    labels: "标签",
    value: "当前值",
    recovered: "恢复值",
    last: "最后值",
    threshold: "阈值",
    peak: "峰值",
    started: "开始时间",
    ended: "结束时间",
    duration: "持续时间",
    flaps: "再次触发次数",
    trend: "趋势",
    processes: "主要进程",
    pressure: "资源压力",
    message: "说明",
  },
  pressures: { cpu: "CPU", memory: "内存", io: "IO" },
  over: (what, time) => `${what}（${time}）`,
  lowest: "最低",
  highest: "最高",
  units: { day: "天", hour: "小时", minute: "分钟", second: "秒" },
  runbook: "处理手册",
  details: "查看详情",
  source: "告警来源",
  actions: { ack: "确认", silence_hour: "静默 1 小时", silence_morning: "静默到明早" },
  shortened: "（已截断）",
  colon: "：",
  comma: "，",
  list: "全部告警",
  alertsOn: (alerts, nodes) =>
    alerts === nodes ? `${nodes} 个节点` : `${nodes} 个节点共 ${alerts} 条告警`,
  countOf: (count, state) => `${state} ${count} 条`,
  worst: (what) => `最严重 ${what}`,
  brief: "期间触发并已恢复",
  more: (count) => `以及另外 ${count} 条`,
};

const words: Readonly<Record<Language, Words>> = { "zh-CN": chinese, en: english };

/** The words of a language. */
export function wordsOf(language: Language): Words {
  return words[language];
}
