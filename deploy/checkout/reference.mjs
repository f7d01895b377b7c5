// Makes the pages of docs/reference out of the command tables and configuration schemas of the built product, so that
// they cannot say anything else than the programs do. generate.mjs calls it after a build.

const load = (file) => import(new URL(`../../dist/${file}`, import.meta.url));

/** Every page by its file name below docs/reference, with its text. */
export async function referencePages() {
  const { describeCommands } = await load('common/cli/help.js');
  const { formatDuration } = await load('common/config/duration.js');
  const { serverCli } = await load('cli/server.js');
  const { agentCli } = await load('cli/agent.js');
  const { serverFileSchema } = await load('server/config-schema.js');
  const { agentFileSchema } = await load('agent/config-schema.js');
  const { agentBuiltIns, serverBuiltIns } = await load('plugins/builtin.js');

  const commands = ({ name, commands: list }) =>
    page(
      name,
      `Every command of \`${name}\` with its flags; \`finial ${name.replace('spire-', '')} …\` is the same.`,
      describeCommands(list),
    );
  const half = (name, schema, builtIns) => [
    `## ${name}\n`,
    table(schema.shape, formatDuration),
    ...pluginTables(name, builtIns, formatDuration),
  ];
  return new Map([
    ['spire-server.md', commands(serverCli)],
    ['spire-agent.md', commands(agentCli)],
    [
      'configuration.md',
      page(
        'Configuration',
        'Every key of the configuration files, which are HCL 1 or JSON. Keys match in any case. A duration is written as\n' +
          '`1h30m`. Where a default is shown, an empty text or 0 means the default as well. Every key that is not here is\n' +
          'refused, but inside `experimental`, `federation`, `sds`, `telemetry` and beside `plugin_data`, where SPIRE passes\n' +
          'over unknown keys as well.',
        [...half('Server', serverFileSchema, serverBuiltIns), ...half('Agent', agentFileSchema, agentBuiltIns)].join(
          '\n',
        ),
      ),
    ],
  ]);
}

function page(title, about, body) {
  return `<!-- Written by \`npm run generate\`. -->\n\n# ${title}\n\n${about}\n\n${body.trimEnd()}\n`;
}

function pluginTables(half, builtIns, formatDuration) {
  return Object.values(builtIns)
    .flat()
    .toSorted((a, b) => (`${a.type} ${a.name}` < `${b.type} ${b.name}` ? -1 : 1))
    .map(({ type, name, config }) => {
      const heading = `### ${half}: ${type} "${name}"\n`;
      return `${heading}\n${table(config.shape, formatDuration)}`;
    });
}

function table(shape, formatDuration) {
  const rows = rowsOf(shape, '').map(
    ({ key, type, fallback, about }) => `| \`${key}\` | ${type} | ${fallback} | ${about} |\n`,
  );
  if (rows.length === 0) return 'Nothing to configure.\n';
  return `| key | type | default | notes |\n| --- | --- | --- | --- |\n${rows.join('')}`;

  /** The keys of a shape, each under the path that leads to it. */
  function rowsOf(one, path) {
    if (one.kind === 'object') {
      return Object.entries(one.fields).flatMap(([name, field]) =>
        rowsOf(field, path === '' ? name : `${path}.${name}`),
      );
    }
    if (one.kind === 'labelled') return rowsOf(one.element, `${path}.<name>`);
    if (one.kind === 'list' && one.element.kind === 'object') return rowsOf(one.element, `${path}[]`);
    return [{ key: path, type: typeOf(one), fallback: fallbackOf(one), about: aboutOf(one) }];
  }

  function typeOf(one) {
    if (one.kind === 'list') return `list of ${typeOf(one.element)}`;
    if (one.kind === 'choice') return one.words.map((word) => `\`${word}\``).join(', ');
    return one.help?.includes('not available yet') ? '' : one.kind === 'raw' ? 'any' : one.kind;
  }

  function fallbackOf({ kind, fallback }) {
    if (fallback === undefined || fallback === '' || fallback === 0) return '';
    return `\`${kind === 'duration' ? formatDuration(fallback) : fallback}\``;
  }

  function aboutOf({ help, presence, kind }) {
    const must = presence === 'required' || (presence === undefined && kind !== 'list');
    return [...(must ? ['required'] : []), ...(help === undefined ? [] : [help])].join('; ').replaceAll('|', '\\|');
  }
}
