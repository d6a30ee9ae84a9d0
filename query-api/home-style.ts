/** How the page at `/` looks. Colours are never the only sign: a state is always written out too. */
export const homeStyle = `
:root{color-scheme:light dark;--ground:#fff;--panel:#f6f7f9;--text:#1b1f24;--soft:#57606a;--line:#d0d7de;--good:#116329;--bad:#a40e26;--warn:#7d4e00;--mark:#0a5bd3;--chosen:#e3eefc}
@media(prefers-color-scheme:dark){:root{--ground:#0f1318;--panel:#181e25;--text:#e6edf3;--soft:#a3adb8;--line:#39424d;--good:#56d364;--bad:#ff938a;--warn:#e3b341;--mark:#79b8ff;--chosen:#1b2f4b}}
*{box-sizing:border-box}
[hidden]{display:none!important}
body{font:15px/1.45 system-ui,sans-serif;margin:0;background:var(--ground);color:var(--text)}
header,main{max-width:100rem;margin:0 auto;padding:0 1rem}
header{display:flex;flex-wrap:wrap;gap:.25rem 1.5rem;align-items:baseline;padding-top:.75rem}
h1{font-size:1.25rem;margin:0}h2{font-size:1.05rem;margin:0 0 .5rem;overflow-wrap:anywhere}
nav{display:flex;flex-wrap:wrap;gap:.25rem 1rem}
a,button.link{color:var(--mark)}
:focus-visible{outline:3px solid var(--mark);outline-offset:2px;border-radius:3px}
.banner{margin:.75rem 0 0;padding:.5rem .75rem;border-left:4px solid var(--bad);background:var(--panel);color:var(--bad);font-weight:600}
dl{display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.5rem;margin:.75rem 0 1rem}
dl div{background:var(--panel);border:1px solid var(--line);border-radius:6px;padding:.4rem .75rem}
dt{color:var(--soft);font-size:.8rem}dd{margin:0;font-weight:600}
.panes{display:grid;gap:1.5rem;grid-template-columns:minmax(0,1fr)}
@media(min-width:64rem){
.panes{grid-template-columns:minmax(24rem,2fr) minmax(0,3fr)}
.pane .scroll{max-height:calc(100vh - 17rem);min-height:18rem;overflow-y:auto}
#back{display:none}
}
@media(max-width:63.99rem){body.chosen #devices-pane{display:none}}
@media(max-width:40rem){#devices-table th.owner,#devices-table td.owner{display:none}.values th.type,.values td.soft{display:none}.values th.path{width:48%}.values th.number{width:4.5rem}dl{grid-template-columns:repeat(2,minmax(0,1fr))}}
.scroll{overflow-x:auto}
table{border-collapse:collapse;width:100%}
caption{text-align:left;color:var(--soft);padding:.25rem 0}
th{font-size:.8rem;color:var(--soft);position:sticky;top:0;background:var(--ground)}
th,td{text-align:left;padding:.3rem .75rem .3rem 0;border-bottom:1px solid var(--line);vertical-align:top;overflow-wrap:anywhere}
th.number,td.number{text-align:right;padding-right:1rem;font-variant-numeric:tabular-nums;white-space:nowrap}
td.code{font-family:ui-monospace,monospace;font-size:.85rem}
td.value{font-weight:600;white-space:pre-wrap}
table{table-layout:fixed}#devices-table th.state{width:36%}#devices-table th.number{width:5rem}#devices-table th.owner{width:6rem}
.values th.path{width:55%}.values th.type{width:5.5rem}.values th.number{width:5.5rem}.values .number{padding-right:.25rem}
tr.chosen td{background:var(--chosen)}
small{display:block;color:var(--soft)}
button.link{font:inherit;background:none;border:0;padding:0;text-align:left;text-decoration:underline;cursor:pointer;overflow-wrap:anywhere}
.good{color:var(--good)}.bad{color:var(--bad)}.warn{color:var(--warn)}.soft{color:var(--soft)}
.old{opacity:.55}
#follow{overflow-wrap:anywhere;user-select:all;color:var(--text)}
label{display:block;font-size:.8rem;color:var(--soft)}
input{font:inherit;width:100%;padding:.3rem .5rem;border:1px solid var(--soft);border-radius:4px;background:var(--ground);color:var(--text)}
input[aria-invalid=true]{border-color:var(--bad)}

@media(prefers-reduced-motion:no-preference){main{transition:opacity .2s}}
`;
