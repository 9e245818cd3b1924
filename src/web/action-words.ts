import type { ActionName, ActionPage } from "../core/action.ts";
import type { Language } from "../core/delivery.ts";

/** Why a link does nothing. */
type Reason = Exclude<ActionPage["state"], "ask" | "acted">;

const en = {
  actions: {
    ack: "Acknowledge",
    silence_hour: "Silence for 1 h",
    silence_morning: "Silence until tomorrow",
  } satisfies Record<ActionName, string>,
  level: "Level",
  who: "Your name",
  unnamed: "Say who you are: up to 100 characters.",
  willAck: "Nothing more is told of this alert until its level rises.",
  willSilence: (until: string) => `Nothing is told of this alert until ${until}.`,
  acknowledged: (by: string) =>
    `Acknowledged by ${by}. Nothing more is told of this alert until its level rises.`,
  silenced: (by: string, until: string) => `Silenced by ${by} until ${until}.`,
  over: "This alert is over; there is nothing to acknowledge.",
  ended: (by: string) => `The silence that ${by} made by this link is over; it is not made again.`,
  refused: "This link does nothing",
  reasons: {
    forged: "It is not complete, or not one of ours, or its key is gone.",
    expired: "It is more than a day old. Later messages of the alert have new links.",
    away: "The shared store is away just now, so nothing was done. Try again in a minute.",
    full: "There are already as many silences as are kept, so nothing was done. End some first.",
  } satisfies Record<Reason, string>,
};

/** The words of the pages of links in one language. */
export type ActionWords = typeof en;

const zh: ActionWords = {
  actions: { ack: "确认", silence_hour: "静默 1 小时", silence_morning: "静默到明早" },
  level: "级别",
  who: "您的姓名",
  unnamed: "请填写姓名，最多 100 个字符。",
  willAck: "在级别升高之前，不再发送此告警的消息。",
  willSilence: (until) => `在 ${until} 之前，不发送此告警的消息。`,
  acknowledged: (by) => `${by} 已确认。在级别升高之前，不再发送此告警的消息。`,
  silenced: (by, until) => `${by} 已静默，直到 ${until}。`,
  over: "此告警已结束，无需确认。",
  ended: (by) => `${by} 通过此链接设置的静默已结束，不会重新设置。`,
  refused: "链接无效",
  reasons: {
    forged: "链接不完整、不是由我们签发，或其密钥已不存在。",
    expired: "链接已超过一天。此告警之后的消息带有新的链接。",
    away: "共享存储暂时不可用，未做任何更改。请稍后再试。",
    full: "静默数量已达上限，未做任何更改。请先结束一些静默。",
  },
};

export const actionWords: Readonly<Record<Language, ActionWords>> = { en, "zh-CN": zh };
