// text.js: what the page says in words and tables. The report's words go in as text nodes only (HP3). plots.js draws; it is begun at
// the end of that file.
'use strict';

const report = JSON.parse(document.getElementById('report').textContent);
const kinds = { hold: 'Holds', read: 'Reads', settle: 'Commits, releases, fulfilments', till: 'Till messages' };
const reasons = { insufficient: 'no stock', overloaded: 'overloaded' };

// ---- making elements, writing numbers ----

// el('p', { class: 'soft' }, 'text', child...): an element. Nothing here reads markup.
function el(name, attributes, ...children) {
	const made = document.createElement(name);
	for (const [key, value] of Object.entries(attributes || {}))
		if (value !== null && value !== undefined)
			made.setAttribute(key, value);
	made.append(...children.flat(Infinity).filter((child) => child !== null && child !== undefined));
	return made;
}

const known = (value) => value !== null && value !== undefined;
const whole = (value) => known(value) ? Math.round(value).toLocaleString('en-US') : '–';
// Three digits that count: 0.0421, 3.12, 48.3, 1,250.
function digits(value) {
	if (!known(value))
		return '–';
	return Math.abs(value) >= 100 ? whole(value) : String(Number(value.toPrecision(3)));
}
// A unit stays on the line of its number.
const ms = (value) => !known(value) ? '–' : Math.abs(value) >= 1000 ? digits(value / 1000) + '\u00a0s' : digits(value) + '\u00a0ms';
const seconds = (value) => known(value) ? digits(value) + '\u00a0s' : '–';
const percent = (share) => known(share) ? digits(share * 100) + '\u00a0%' : '–';
function bytes(value) {
	if (!known(value))
		return '–';
	const units = ['B', 'KiB', 'MiB', 'GiB', 'TiB'];
	let unit = 0;
	for (; value >= 1024 && unit < units.length - 1; unit++)
		value /= 1024;
	return digits(value) + '\u00a0' + units[unit];
}
const sum = (list, key) => list.reduce((all, one) => all + (one[key] || 0), 0);
const greatest = (list) => (list || []).reduce((most, value) => known(value) && !(value <= most) ? value : most, null);
// A sentence of the report, which may come without its capital and its full stop.
const sentence = (text) => text ? text[0].toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.') : '';
const plural = (n, one, many) => whole(n) + ' ' + (n === 1 ? one : many);

// A table in a box that scrolls sideways on a phone. head: names; rows: lists of texts, elements or { text, class, span }.
function table(head, rows, words) {
	const cell = (kind, value, column) => {
		const attributes = { class: words && words.includes(column) ? 'words' : null };
		if (value instanceof Node || !known(value) || typeof value !== 'object')
			return el(kind, attributes, known(value) ? value : '–');
		return el(value.span ? 'td' : kind, { class: value.class, colspan: value.span }, value.text);
	};
	return el('div', { class: 'scroll' }, el('table', {},
		head ? el('thead', {}, el('tr', {}, head.map((name, i) => cell('th', name, i)))) : null,
		el('tbody', {}, rows.map((row) => el('tr', { class: row.class },
			row.map((value, i) => i === 0 ? cell('th', value, i) : cell('td', value, i)))))));
}
const section = (title, ...parts) => el('section', {}, el('h2', {}, title), parts);

// ---- the answer and the verdict ----

const stockOf = (run) => sum(run.skus || [], 'stock_n') + (run.others ? run.others.stock_n || 0 : 0);
const soldOf = (run) => sum(run.skus || [], 'sold_n') + (run.others ? run.others.sold_n || 0 : 0);
const refusedOf = (run) => Object.values((run.counts || {}).refused || {}).reduce((all, n) => all + n, 0);
// When the last cell ran out: only where all did, and all are listed.
function soldOutAt(run) {
	const all = run.skus || [];
	if (all.length === 0 || (run.others && run.others.cells_n > 0) || all.some((sku) => !known(sku.sold_out_at_s)))
		return null;
	return greatest(all.map((sku) => sku.sold_out_at_s));
}

// What a planner wants to know, in a line.
function answerText(run) {
	if (report.capacity) {
		const found = report.capacity;
		return found.rate_per_s > 0 ? `${whole(found.rate_per_s)} shoppers a second with a p99 of at most ${ms(found.p99_limit_ms)}` :
			`No rate that was tried kept a p99 of ${ms(found.p99_limit_ms)}`;
	}
	if (!run)
		return 'Nothing was measured';
	const parts = [];
	const at = soldOutAt(run);
	if (stockOf(run) > 0)
		parts.push(`${whole(soldOf(run))} of ${whole(stockOf(run))} units sold` + (known(at) ? `, all of them taken after ${seconds(at)}` : ''));
	parts.push(`${plural(refusedOf(run), 'shopper', 'shoppers')} refused`);
	const kind = ['hold', 'read', 'till'].find((one) => (run.latency_ms || {})[one]);
	const summed = (report.summary || {})[`${kind}_p99_ms`];
	if (kind)
		parts.push(`p99 of ${kinds[kind].toLowerCase()} ${ms(summed && known(summed.median) ? summed.median : run.latency_ms[kind].p99)}`);
	// Where most only look, how long that takes is the question.
	const reads = (report.summary || {}).read_p99_ms;
	if (kind === 'hold' && reads && (run.counts || {}).reads_n > run.latency_ms.hold.n)
		parts.push(`of reads ${ms(reads.median)}`);
	return parts.join('; ');
}

// A verdict is not good when a check failed, or when not all could be checked (an early end): these must not be taken for each other.
function judged(verdict) {
	if ((verdict.checks || []).some((check) => !check.good))
		return { colour: 'bad', title: '✗ A promise was broken', word: 'broken' };
	return verdict.good ? { colour: 'good', title: '✓ The promises were kept', word: 'kept' } :
		{ colour: 'warn', title: 'Not proven: no fault was found, but not all could be checked', word: 'not proven' };
}

function verdictBox(verdict, ofAll) {
	const checks = verdict.checks || [];
	return el('div', { class: 'verdict ' + judged(verdict).colour, id: 'verdict' }, el('strong', {}, judged(verdict).title),
		el('ul', { class: 'checks' }, checks.map((check) => el('li', {}, `${check.good ? '' : '✗ '}${check.name} ${whole(check.value)}`))),
		checks.filter((check) => !check.good && check.text).map((check) => el('p', {}, `${check.name}: ${check.text}`)),
		el('p', { class: 'soft' }, 'From the clients’ own records of what they asked and were answered' +
			(ofAll > 1 ? `; the worst of ${ofAll} runs.` : '.')));
}

function warnings(run) {
	const box = (title, text) => el('div', { class: 'verdict warn' }, el('strong', {}, title), text ? el('p', {}, text) : null);
	const found = [];
	if (report.complete === false)
		found.push(box('This run ended early', sentence(report.why) + ' What is shown is true as far as it goes.'));
	if (run && run.client && run.client.bottleneck)
		found.push(box('The client was the limit', sentence(run.client.text) + ' Give the load a machine of its own, or a lower rate, to see what the server can do.'));
	return found;
}

// The few figures that are looked at first; of several runs the median, with lowest and highest below.
function tiles(run) {
	const made = [];
	const add = (name, value, below) => made.push(el('div', { class: 'tile' }, el('span', {}, name), el('b', {}, value),
		below ? el('span', {}, below) : null));
	const summed = (title, name, write, behind) => {
		const found = (report.summary || {})[name];
		if (found && known(found.median))
			add(title, write(found.median) + (behind || ''), report.runs.length > 1 ? `${write(found.low)} to ${write(found.high)}` : null);
	};
	const series = run.series || {};
	add('shoppers', whole(run.counts.shoppers_n), run.duration_s ? `in ${seconds(run.duration_s)}` : null);
	if (greatest(series.arrivals_per_s) > 0 && !run.closed_loop)
		add('arrivals at the peak', whole(greatest(series.arrivals_per_s)) + '/s', null);
	summed('answered', 'answered_per_s', (value) => whole(value) + '/s');
	add('holds granted', whole(run.counts.granted_n), null);
	summed('holds, p50', 'hold_p50_ms', ms);
	summed('holds, p99', 'hold_p99_ms', ms);
	summed('holds, p99.9', 'hold_p999_ms', ms);
	summed('reads, p99', 'read_p99_ms', ms);
	summed('till messages, p99', 'till_p99_ms', ms);
	summed('server’s processors', 'server_cpu', digits, report.machine.cpus_n ? ` of ${report.machine.cpus_n}` : '');
	summed('server’s memory', 'server_rss_bytes', bytes);
	return el('div', { class: 'tiles' }, made);
}

// ---- tables ----

function latencyTable(run) {
	const head = ['', 'answers', 'mean', 'p50', 'p90', 'p99', 'p99.9', 'longest'];
	const rows = (of) => Object.keys(kinds).filter((kind) => (of || {})[kind]).map((kind) => {
		const one = of[kind];
		return [kinds[kind], whole(one.n), ms(one.mean), ms(one.p50), ms(one.p90), ms(one.p99), ms(one.p999), ms(one.max)];
	});
	const service = rows(run.service_ms);
	return section('Latency',
		el('p', { class: 'soft' }, run.closed_loop ? 'Closed loop: a client asks again when it is answered, so a slow server is asked less.' :
			'From the moment a request was meant to be sent by the arrival curve to its answer; a late client counts against the server.'),
		table(head, rows(run.latency_ms)),
		service.length && !run.closed_loop ? [el('p', { class: 'soft' }, 'From the moment it was written:'), table(head, service)] : null);
}

function countsTable(run) {
	const counts = run.counts;
	const rows = [['shoppers_n', 'shoppers who came'], ['asked_n', 'requests of all kinds'], ['answered_n', 'answered'], ['unanswered_n', 'without an answer'],
		['reads_n', 'reads'], ['granted_n', 'holds granted'], ['committed_n', 'committed'], ['fulfilled_n', 'fulfilled'], ['released_n', 'released'],
		['expired_n', 'expired'], ['till_events_n', 'till events'], ['asked_again_n', 'asked again after “overloaded”'],
		['pressed_twice_n', 'sent twice on purpose, with the same id']]
		.filter(([key]) => counts[key] > 0 || key === 'unanswered_n').map(([key, name]) => [name, whole(counts[key])]);
	const refused = Object.entries(counts.refused || {}).map(([reason, n]) => [reasons[reason] || reason, whole(n)]);
	return el('div', { class: 'halves' }, section('What happened', table(null, rows)),
		section('Refused, by reason', refused.length ? table(null, refused) : el('p', {}, 'Nobody was refused.')));
}

function verdictTable(verdict) {
	const rows = (verdict.checks || []).map((check) => [check.name, { text: whole(check.value), class: check.good ? 'good' : 'bad' }, check.text || '']);
	const told = (title, part) => part && part.text ? [el('h3', {}, title), el('p', {}, sentence(part.text))] : null;
	return section('The proof', table(['', 'found', 'what that means'], rows, [2]),
		el('p', {}, ''), told('Lost sales', verdict.lost_sales), told('Fairness', verdict.fairness),
		known(verdict.expired_unused_n) ? [el('h3', {}, 'Holds that expired unused'), el('p', {}, whole(verdict.expired_unused_n))] : null);
}

function skuTable(run) {
	const columns = [['stock_n', 'stock'], ['sold_n', 'sold'], ['returned_n', 'returned'], ['committed_n', 'committed'], ['held_n', 'held'], ['released_n', 'released'],
		['expired_n', 'expired'], ['left_n', 'left'], ['refused_n', 'refused'], ['refused_units_n', 'in units']]
		.filter(([key]) => key !== 'returned_n' || [...(run.skus || []), run.others || {}].some((one) => one[key] > 0));
	const row = (name, one) => [name, ...columns.map(([key]) => whole(one[key])), known(one.sold_out_at_s) ? seconds(one.sold_out_at_s) : '–'];
	const rows = (run.skus || []).map((sku) => row(`${sku.sku} at ${sku.location}`, sku));
	if (run.others && run.others.cells_n > 0)
		rows.push(row(`${plural(run.others.cells_n, 'other', 'others')}`, run.others));
	if (rows.length === 0)
		return null;
	const below = (run.skus || []).some((sku) => sku.left_n < 0) ? ' Below 0 is what tills sold although the books did not have it: their sales are facts.' : '';
	return section('Stock', el('p', { class: 'soft' }, 'Units, but for “refused”: shoppers.' +
		(rows.length > 1 ? ' First the cells where most was refused, then those with the most demand.' : '') + below),
		table(['SKU and location', ...columns.map(([, name]) => name), 'sold out'], rows));
}

const summaryNames = [['arrivals_per_s', 'shoppers a second', whole], ['answered_per_s', 'answers a second', whole], ['granted_per_s', 'holds granted a second', whole],
	['hold_p50_ms', 'holds, p50', ms], ['hold_p99_ms', 'holds, p99', ms], ['hold_p999_ms', 'holds, p99.9', ms], ['read_p99_ms', 'reads, p99', ms],
	['settle_p99_ms', 'commits, releases, fulfilments, p99', ms], ['till_p99_ms', 'till messages, p99', ms], ['server_cpu', 'server’s processors', digits],
	['server_rss_bytes', 'server’s memory', bytes]];

// Several runs: median and spread of each figure, then the runs by themselves.
function runsTable(shown) {
	if (report.runs.length < 2)
		return null;
	const summary = summaryNames.filter(([key]) => (report.summary || {})[key]).map(([key, name, write]) => {
		const of = report.summary[key];
		const spread = of.median > 0 ? (of.high - of.low) / of.median : null;
		return [name, write(of.median), write(of.low), write(of.high), percent(spread)];
	});
	const each = report.runs.map((run, i) => {
		const hold = (run.latency_ms || {}).hold || {};
		const row = [`run ${i + 1}` + (i === shown ? ' (shown)' : ''), known(run.seed) ? String(run.seed) : '–', whole(run.counts.answered_n), whole(run.counts.granted_n),
			whole(refusedOf(run)), ms(hold.p50), ms(hold.p99), ms(hold.p999), run.verdict ? { text: judged(run.verdict).word, class: judged(run.verdict).colour } : '–'];
		row.class = i === shown ? 'shown' : null;
		return row;
	});
	return section(`${report.runs.length} runs`, table(['', 'median', 'lowest', 'highest', 'spread'], summary),
		el('p', { class: 'soft' }, 'Spread: highest less lowest, as a share of the median.'),
		table(['', 'seed', 'answered', 'granted', 'refused', 'holds p50', 'p99', 'p99.9', 'promises'], each));
}

function capacityTable() {
	const row = (step) => [whole(step.rate_per_s) + '/s', { text: step.kept ? 'kept' : 'not kept', class: step.kept ? 'good' : 'bad' },
		ms(step.hold_p99_ms), percent(step.answered_share), whole(step.overloaded_n), digits(step.server_cpu), digits(step.client_cpu),
		ms(step.client_late_p99_ms)];
	const why = (step) => step.text ? [Object.assign([{ text: sentence(step.text), class: 'words', span: 8 }], { class: 'under' })] : [];
	const rows = report.capacity.steps.flatMap((step) => [row(step), ...why(step)]);
	return section('The steps, in the order tried', table(['shoppers', `p99 ≤ ${ms(report.capacity.p99_limit_ms)}`, 'p99', 'answered', 'overloaded',
		'server, processors', 'client, processors', 'client late, p99'], rows));
}

function settings(run) {
	const scenario = report.scenario || {}, machine = report.machine || {}, server = report.server || {};
	const named = (list) => list.filter(([, value]) => known(value) && value !== '');
	const client = run && run.client;
	return [el('div', { class: 'halves' },
		section('The machine', table(null, named([['name', machine.name], ['processor', machine.cpu], ['processors', machine.cpus_n], ['memory', bytes(machine.memory_bytes)],
			['system', machine.system], ['kernel', machine.kernel]]), [1])),
		section('Server and client', table(null, named([['server', server.version], ['started by', server.own ? 'this rehearsal' : 'somebody else'],
			['a 4 KiB sync of its disk, alone', server.disk_sync_ms ? `p50 ${ms(server.disk_sync_ms.p50)}, p99 ${ms(server.disk_sync_ms.p99)}` : null], ['address', server.address], ['options', (server.options || []).join(' ')], ['client', client && client.text],
			['client’s processors', client && known(client.cpu) ? digits(client.cpu) : null],
			['processors used by others meanwhile', client && known(client.others_cpu) ? digits(client.others_cpu) : null], ['seed', run && run.seed], ['begun', report.begun_at]]), [1]))),
	section('The scenario', scenario.about ? el('p', {}, scenario.about) : null,
		scenario.text ? el('pre', {}, scenario.text) : null,
		Object.keys(scenario.values || {}).length ? el('details', {}, el('summary', {}, 'All settings in force'),
			table(null, Object.entries(scenario.values), [1])) : null)];
}
