import { type Outcome, type Side, sideOf } from './scenario.ts';

/** The text of docs/conformance.md: what ran, and how it ended. */
const headings: Readonly<Record<Side, string>> = {
  client: 'Client: ingest and a device',
  cache: 'Cache: from a device to a reader',
  server: 'Server: query-api’s gNMI service and its clients',
};

const introduction = `# gNMI conformance

Every line is a scenario of \`test/conformance/\`, played over real sockets by \`test/integration/conformance.test.ts\`: ingest,
replicator and query-api run as processes over a real Kafka, each scenario has a gNMI device of its own that does what the
scenario says, right or wrong, and what is asserted is what a reader of \`telemetry\`, of the HTTP interface or of the gNMI
service finds. \`npm run conformance\` plays them and writes this page; a test fails when the page is not what ran, or a line
is not green.

client: ingest towards a device. cache: what a device said, as readers find it. server: query-api’s gNMI service.

The letters are rules: T session and transport, E encodings, V values, N notifications and names, P paths as text, S and M
Subscribe and its modes, D deletes, A atomic, G Get, L library behaviour we rely on.
`;

export function formatDocument(outcomes: readonly Outcome[]): string {
  const parts = (['client', 'cache', 'server'] as const).map((side) => {
    const own = outcomes.filter(({ scenario }) => sideOf(scenario) === side);
    return own.length === 0 ? '' : `\n## ${headings[side]}\n\n${table(own)}\n`;
  });
  const green = outcomes.filter(({ failure }) => failure === null).length;
  return `${introduction}\n${green} of ${outcomes.length} scenarios are green.\n${parts.join('')}`;
}

function table(outcomes: readonly Outcome[]): string {
  const rows = outcomes.map(({ scenario, failure }) => [
    `\`${scenario.id}\``,
    scenario.title.replaceAll('|', '\\|'),
    sideOf(scenario),
    scenario.rules,
    failure === null ? 'green' : '**red**',
  ]);
  return aligned([['id', 'what holds', 'side', 'rules', 'result'], ...rows]);
}

/** As the formatter of this repository aligns a table. */
function aligned(rows: readonly (readonly string[])[]): string {
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join(' | ')} |`;
  const [head = [], ...body] = rows;
  return [line(head), `| ${widths.map((width) => '-'.repeat(width)).join(' | ')} |`, ...body.map(line)].join('\n');
}
