import { Html } from "./html.ts";

/** The page's only style sheet; the colours follow the system, and no state is told by colour alone. */
export const style = new Html(`
:root{color-scheme:light dark;--bg:#f6f7f9;--card:#fff;--text:#1b1f24;--soft:#5b6570;--line:#dfe3e8;--link:#0b5cad;
--ok:#1a7f37;--warn:#8a5a00;--bad:#c0281c;--spark:#2f6fb5}
@media(prefers-color-scheme:dark){:root{--bg:#0f1318;--card:#171c23;--text:#e6eaef;--soft:#98a3af;--line:#2a323c;
--link:#78b4f5;--ok:#4ac26b;--warn:#e0a83a;--bad:#ff7b6f;--spark:#78b4f5}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--text);
font:15px/1.5 system-ui,-apple-system,"Segoe UI","PingFang SC","Microsoft YaHei","Noto Sans CJK SC",sans-serif}
main,header,footer{max-width:1180px;margin:0 auto;padding:0 16px}
header{padding-top:20px}
h1{font-size:1.5rem;margin:0;overflow-wrap:anywhere}
h2{font-size:1.02rem;margin:0 0 10px}
a{color:var(--link);text-decoration:none}a:hover{text-decoration:underline}
.facts{display:flex;flex-wrap:wrap;gap:2px 20px;margin:6px 0 0;color:var(--soft)}
.facts b{color:var(--text);font-weight:600}
section{background:var(--card);border:1px solid var(--line);border-radius:10px;padding:14px 16px;margin:16px 0;
overflow-x:auto}
.two{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,440px),1fr));gap:0 16px;align-items:start}
table{border-collapse:collapse;width:100%}
th{font-weight:500;color:var(--soft);text-align:left;font-size:.86rem}
th,td{padding:5px 14px 5px 0;border-bottom:1px solid var(--line);vertical-align:top}
th,td{white-space:nowrap}
td.free{white-space:normal;overflow-wrap:anywhere;min-width:12ch}
tr:last-child td{border-bottom:0}
.num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}
.tiles{display:grid;grid-template-columns:repeat(auto-fill,minmax(210px,1fr));gap:10px}
.tile{border:1px solid var(--line);border-radius:8px;padding:8px 10px;min-width:0}
.tile .name{color:var(--soft);font-size:.86rem;overflow-wrap:anywhere}
.tile .value{font-size:1.2rem;font-weight:600;font-variant-numeric:tabular-nums}
svg{display:block;width:100%;height:28px;margin-top:4px}
svg path{fill:none;stroke:var(--spark);stroke-width:1.5;vector-effect:non-scaling-stroke}
.state{font-weight:600;white-space:nowrap}
.state:before{content:"";display:inline-block;width:.6em;height:.6em;border-radius:50%;background:currentColor;
margin-right:.45em}
.good{color:var(--ok)}.warn{color:var(--warn)}.bad{color:var(--bad)}.off,.soft{color:var(--soft)}
.firing{border-color:var(--bad)}
p{margin:4px 0}
footer{padding-bottom:28px;color:var(--soft);font-size:.9rem}
footer a{margin-right:14px;display:inline-block}
`);
