import type { ActionEnd } from "../../core/action.ts";
import type { Language } from "../../core/delivery.ts";
import type { QuietHours } from "../../core/mute.ts";
import { wallClock } from "../mute.ts";

const minuteMs = 60_000;
const minutesPerDay = 1_440;
/** When people are back. */
const morningMinute = 8 * 60;
/** Nobody who says "until tomorrow" means the next two hours. */
const leastMinutes = 2 * 60;

/** Minutes from what a clock shows to what it shows next. */
function minutesUntil(wanted: number, minute: number): number {
  return (wanted - minute + minutesPerDay) % minutesPerDay;
}

/** The next time that clocks of a zone show eight in the morning, the day after when that is soon. */
export function nextMorning(timezone: string, nowMs: number): number {
  const startMs = Math.floor(nowMs / minuteMs) * minuteMs;
  const minutes = minutesUntil(morningMinute, wallClock(timezone, startMs).minute);
  const away = minutes < leastMinutes ? minutes + minutesPerDay : minutes;
  const roughMs = startMs + away * minuteMs;
  // Clocks may be changed in between, by at most some hours.
  const off = minutesUntil(morningMinute, wallClock(timezone, roughMs).minute);
  const change = off > minutesPerDay / 2 ? off - minutesPerDay : off;
  return roughMs + change * minuteMs;
}

/**
 * Whose morning it is: that of the quiet hours, else the machine's own; most containers know none but UTC, and who
 * reads Chinese there lives by Beijing's.
 */
export function zoneOf(
  quietHours: readonly QuietHours[],
  language: Language,
  own: string = new Intl.DateTimeFormat().resolvedOptions().timeZone,
): string {
  const [first] = quietHours;
  if (first !== undefined) return first.timezone;
  if (!/^(Etc\/)?(UTC|GMT|UCT|Universal|Zulu)$/.test(own)) return own;
  return language === "zh-CN" ? "Asia/Shanghai" : "UTC";
}

/** Until when a silence of an hour or until the morning lasts. */
export function silenceEnd(
  action: "silence_hour" | "silence_morning",
  timezone: string,
  nowMs: number,
): ActionEnd {
  const untilMs = action === "silence_hour" ? nowMs + 60 * minuteMs : nextMorning(timezone, nowMs);
  return { untilMs, timezone };
}
