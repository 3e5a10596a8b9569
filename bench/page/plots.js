// plots.js: the plots, by Chart.js, and the page's beginning at the end. Each plot is a row of a table: what it is called, and a function
// that makes its lines from a run, or null where the run has nothing of the kind. Colours are report.css's.
'use strict';

const colour = (name) => getComputedStyle(document.documentElement).getPropertyValue('--' + name).trim();
const kindColours = { hold: 'plot-1', read: 'plot-3', settle: 'plot-2', till: 'plot-4' };
const reasonColours = { insufficient: 'plot-2', overloaded: 'plot-4' };
const rest = ['plot-5', 'plot-6', 'plot-3', 'plot-1'];

// ---- lines ----

const step = () => (report.interval_ms || 0) / 1000;
// What counts for an interval stands at its middle, what was seen at its end stands there.
const over = (run, list, at) => (list || []).map((y, i) => ({ x: run.series.t_s[i] + step() * at, y: known(y) ? y : null }));
const inInterval = (run, list) => over(run, list, 0.5);
const atEnd = (run, list) => over(run, list, 1);
const some = (list) => (list || []).some((value) => known(value));
const someAbove0 = (list) => (list || []).some((value) => value > 0);
const scaled = (list, by) => (list || []).map((value) => known(value) ? value * by : null);
const line = (label, data, hue, more) => Object.assign({ label, data, hue }, more);
const total = (lists) => (lists[0] || []).map((_, i) => lists.reduce((all, list) => all + (list[i] || 0), 0));
// null unless one of the lines has a point.
const plotOf = (lines, more) => lines.some((one) => one.data.some((point) => known(point.y))) ? Object.assign({ lines }, more) : null;

function rates(run) {
	const s = run.series;
	const lines = [line('shoppers, as the curve intends', inInterval(run, s.arrivals_per_s), 'plot-soft', { dash: [6, 4] }),
		line('requests due', inInterval(run, s.asked_per_s), 'plot-5'),
		line('answers', inInterval(run, s.answered_per_s), 'plot-1'),
		line('holds granted', inInterval(run, s.granted_per_s), 'plot-3')];
	return plotOf(lines, { time: true, y: 'per second', write: (y) => whole(y) + '/s',
		note: `At most ${whole(greatest(s.arrivals_per_s))} shoppers came and ${whole(greatest(s.answered_per_s))} answers went out a second, by interval.` });
}

function latencies(run) {
	const of = run.series.latency_ms || {};
	const kind = ['hold', 'read', 'till', 'settle'].find((one) => of[one]);
	if (!kind)
		return null;
	const worst = greatest(of[kind].p99);
	const lines = [['p50', 'p50', 'plot-3'], ['p99', 'p99', 'plot-1'], ['p999', 'p99.9', 'plot-2']].filter(([key]) => of[kind][key])
		.map(([key, name, hue]) => line(name, inInterval(run, of[kind][key]), hue));
	return plotOf(lines, { time: true, y: 'milliseconds (log)', log: true, write: ms, name: `Latency of ${kinds[kind].toLowerCase()}`,
		note: `p50: half were faster; p99: all but one in 100. The worst interval’s p99 was ${ms(worst)}.` });
}

function latenciesByKind(run) {
	const of = run.series.latency_ms || {};
	const found = Object.keys(kinds).filter((kind) => of[kind] && some(of[kind].p99));
	return found.length < 2 ? null : plotOf(found.map((kind) => line(kinds[kind], inInterval(run, of[kind].p99), kindColours[kind])),
		{ time: true, y: 'p99, milliseconds (log)', log: true, write: ms, note: 'Whether reads and tills suffer while checkouts crowd.' });
}

// Shares are drawn by their nines, so that 99.9 % is as far from 99 % as that from 90 %.
const nines = (share, n) => -Math.log10(Math.max(1 - share, 1 / Math.max(n, 1)));
function distributions(run) {
	const of = run.distribution || {};
	const lines = Object.keys(kinds).filter((kind) => of[kind] && of[kind].length).map((kind) => {
		const n = ((run.latency_ms || {})[kind] || {}).n || 1e6;
		return line(kinds[kind], of[kind].map(([x, share]) => ({ x: nines(share, n), y: x, share })), kindColours[kind]);
	});
	return plotOf(lines, { nines: true, y: 'milliseconds (log)', log: true, write: ms,
		note: 'Further right are the rarer, slower answers: at 99.9 % stands what one in 1,000 exceeded.' });
}

function stocks(run) {
	const cells = run.series.stock_left || [];
	const hues = ['plot-1', 'plot-2', 'plot-3', 'plot-4', 'plot-5'];
	const lines = cells.map((cell, i) => {
		const sku = (run.skus || []).find((one) => one.sku === cell.sku && one.location === cell.location);
		const begin = sku && known(sku.stock_n) ? [{ x: 0, y: sku.stock_n }] : [];
		return line(`${cell.sku} at ${cell.location}`, [...begin, ...atEnd(run, cell.left_n)], hues[i % 5]);
	});
	const gone = (run.skus || []).filter((sku) => known(sku.sold_out_at_s)).length;
	const at = soldOutAt(run), last = run.series.t_s[run.series.t_s.length - 1];
	// Where all is gone in a moment, that moment is what is worth looking at.
	const until = known(at) && at < last / 8 ? Math.max(5 * at, 12 * step()) : null;
	return plotOf(lines, { time: true, y: 'units to sell', write: whole, until,
		note: known(at) ? `The last unit was taken after ${seconds(at)}.${until ? ` Only the first ${seconds(until)} are drawn.` : ''}` : gone ? `${plural(gone, 'cell', 'cells')} of those listed below ran out.` : 'None of these ran out.' });
}

function refusals(run) {
	const of = Object.entries(run.series.refused_per_s || {}).filter(([, list]) => someAbove0(list));
	let other = 0;
	const lines = of.map(([reason, list]) => line(reasons[reason] || reason, inInterval(run, list), reasonColours[reason] || rest[other++ % 4], { fill: true }));
	return plotOf(lines, { time: true, stacked: true, y: 'answers per second', write: (y) => whole(y) + '/s',
		note: `At most ${whole(greatest(total(of.map(([, list]) => list))))} a second.` });
}

function processors(run) {
	const s = run.series, n = report.machine.cpus_n;
	const lines = [['server', s.server_cpu, 'plot-1'], ['gate', s.gate_cpu, 'plot-4'], ['client (this rehearsal)', s.client_cpu, 'plot-5']]
		.filter(([, list]) => some(list)).map(([name, list, hue]) => line(name, inInterval(run, list), hue));
	return plotOf(lines, { time: true, y: 'processors', write: digits,
		note: `1.0 is one processor busy all the time${n ? `; the machine has ${n}` : ''}. The server used at most ${digits(greatest(s.server_cpu))}.` });
}

function memory(run) {
	const s = run.series;
	const lines = [['server', s.server_rss_bytes, 'plot-1'], ['gate', s.gate_rss_bytes, 'plot-4']].filter(([, list]) => some(list))
		.map(([name, list, hue]) => line(name, atEnd(run, scaled(list, 1 / 1048576)), hue));
	return plotOf(lines, { time: true, y: 'MiB resident', write: (y) => digits(y) + ' MiB',
		note: `The server had at most ${bytes(greatest(s.server_rss_bytes))}.` });
}

const inFlight = (run) => plotOf([line('requests under way', atEnd(run, run.series.in_flight_n), 'plot-1')],
	{ time: true, y: 'requests', write: whole, note: `At most ${whole(greatest(run.series.in_flight_n))} had no answer yet at the end of an interval.` });

const lateness = (run) => plotOf([line('p99 of the delay', inInterval(run, run.series.client_late_p99_ms), 'plot-5')],
	{ time: true, y: 'milliseconds', write: ms, note: sentence((run.client || {}).text) || 'How far requests left behind their moment on the curve.' });

function everyRun(run) {
	const runs = report.runs.filter((one) => ((one.series || {}).latency_ms || {}).hold);
	const hues = ['plot-1', 'plot-2', 'plot-3', 'plot-4', 'plot-5', 'plot-6'];
	return runs.length < 2 ? null : plotOf(runs.map((one, i) => line(`run ${report.runs.indexOf(one) + 1}`, inInterval(one, one.series.latency_ms.hold.p99),
		hues[i % 6], { thick: one === run })), { time: true, y: 'p99, milliseconds (log)', log: true, write: ms, note: 'Where the lines lie together, chance did little.' });
}

function capacityPlot() {
	const found = report.capacity;
	const steps = (found.steps || []).filter((one) => known(one.hold_p99_ms)).sort((a, b) => a.rate_per_s - b.rate_per_s);
	if (steps.length === 0)
		return null;
	const at = (kept) => steps.filter((one) => Boolean(one.kept) === kept).map((one) => ({ x: one.rate_per_s, y: one.hold_p99_ms }));
	const ends = [steps[0].rate_per_s, steps[steps.length - 1].rate_per_s];
	const lines = [...[line('kept', at(true), 'good', { points: 'circle' }), line('not kept', at(false), 'bad', { points: 'crossRot' })].filter((one) => one.data.length),
		line(`p99 allowed: ${ms(found.p99_limit_ms)}`, ends.map((x) => ({ x, y: found.p99_limit_ms })), 'plot-soft', { dash: [6, 4] })];
	return plotOf(lines, { x: 'shoppers per second', y: 'p99, milliseconds (log)', log: true, write: ms,
		marks: found.rate_per_s > 0 ? [{ x: found.rate_per_s, text: whole(found.rate_per_s) + '/s' }] : [],
		note: [sentence(found.text), sentence(found.gave_way && `What gave way first: ${found.gave_way}`)].join(' ') });
}

function capacityProcessors() {
	const steps = (report.capacity.steps || []).slice().sort((a, b) => a.rate_per_s - b.rate_per_s);
	const of = (key) => steps.map((one) => ({ x: one.rate_per_s, y: known(one[key]) ? one[key] : null }));
	return plotOf([line('server', of('server_cpu'), 'plot-1', { points: 'circle' }), line('client (this rehearsal)', of('client_cpu'), 'plot-5', { points: 'rect' })],
		{ x: 'shoppers per second', y: 'processors', write: digits, note: '1.0 is one processor busy all the time.' });
}

const capacityPlots = [
	{ id: 'capacity', title: 'The rate that can be had', make: capacityPlot, wide: true },
	{ id: 'capacity-cpu', title: 'Processors at each rate', make: capacityProcessors, wide: true },
];
const runPlots = [
	{ id: 'rates', title: 'Arrivals and answers', make: rates, wide: true },
	{ id: 'latency', title: 'Latency', make: latencies },
	{ id: 'percentiles', title: 'How many were answered within what time', make: distributions },
	{ id: 'stock', title: 'Stock running down', make: stocks },
	{ id: 'refused', title: 'Refusals by reason', make: refusals },
	{ id: 'kinds', title: 'Latency of each kind of request', make: latenciesByKind },
	{ id: 'cpu', title: 'Processors', make: processors },
	{ id: 'memory', title: 'Memory', make: memory },
	{ id: 'in-flight', title: 'Requests under way', make: inFlight },
	{ id: 'late', title: 'Was the client on time?', make: lateness },
	{ id: 'runs', title: 'p99 of holds in every run', make: everyRun },
];

// ---- drawing ----

// Vertical marks with a word each above: the moment nothing was left, the end of the curve, the rate that was found.
const marksPlugin = {
	id: 'marks',
	afterDatasetsDraw(chart) {
		const { ctx, chartArea: area, scales: { x } } = chart;
		ctx.save();
		ctx.font = `11px ${Chart.defaults.font.family}`;
		let taken = -Infinity; // where the last word ended; one that would run into it is left out, its line stays
		chart.options.marks.forEach((mark) => {
			const at = x.getPixelForValue(mark.x), wide = ctx.measureText(mark.text).width;
			if (!(at >= area.left && at <= area.right))
				return;
			ctx.strokeStyle = ctx.fillStyle = colour('soft');
			ctx.setLineDash([2, 3]);
			ctx.beginPath();
			ctx.moveTo(at, area.top);
			ctx.lineTo(at, area.bottom);
			ctx.stroke();
			const from = Math.max(area.left, Math.min(at - wide / 2, area.right - wide));
			if (from > taken)
				ctx.fillText(mark.text, from, area.top - 5);
			taken = Math.max(taken, from + wide + 6);
		});
		ctx.restore();
	},
};

function timeMarks(run) {
	const marks = [], last = run.series.t_s[run.series.t_s.length - 1];
	if (known(soldOutAt(run)))
		marks.push({ x: soldOutAt(run), text: `empty: ${seconds(soldOutAt(run))}` });
	if (known(run.duration_s) && last + step() > run.duration_s + 2 * step())
		marks.push({ x: run.duration_s, text: 'curve ends' });
	return marks;
}

// A point between two gaps has no line to be seen by: it gets a dot.
const lonely = (data) => data.map((point, i) => known(point.y) && !known((data[i - 1] || {}).y) && !known((data[i + 1] || {}).y) ? 2 : 0);

function dataset(one, plot) {
	const hue = colour(one.hue);
	return {
		label: one.label, data: one.data.map((point) => plot.log && !(point.y > 0) ? { ...point, y: null } : point),
		borderColor: hue, backgroundColor: one.fill ? hue + '66' : hue, fill: one.fill ? 'stack' : false,
		borderWidth: one.thick ? 3 : 1.75, borderDash: one.dash || [], borderJoinStyle: 'round', showLine: !(one.points && plot.log),
		pointRadius: one.points ? 5 : lonely(one.data), pointStyle: one.points || (one.dash ? 'line' : 'circle'), pointBorderWidth: one.points === 'crossRot' ? 2.5 : 1, pointHitRadius: 8,
	};
}

const axisText = (text) => ({ display: true, text, color: colour('soft') });
const roundTick = (value) => [1, 2, 5].includes(Math.round(value / 10 ** Math.floor(Math.log10(value) + 1e-9)));

function xAxis(plot, run) {
	const common = { type: 'linear', grid: { color: colour('line'), borderColor: colour('line') }, ticks: { color: colour('soft'), maxRotation: 0 } };
	if (plot.nines)
		return { ...common, min: 0, max: greatest(plot.lines.flatMap((one) => one.data.map((point) => point.x))), title: axisText('share of the requests'),
			afterBuildTicks: (axis) => { axis.ticks = [0.30103, 1, 2, 3, 4, 5, 6, 7].filter((value) => value <= axis.max).map((value) => ({ value })); },
			ticks: { ...common.ticks, autoSkip: true, callback: (value) => value < 0.9 ? '50 %' : +(100 - 100 / 10 ** value).toFixed(5) + ' %' } };
	if (plot.time)
		return { ...common, min: 0, max: plot.until || run.series.t_s[run.series.t_s.length - 1] + step(), title: axisText('seconds from the beginning of the curve'),
			ticks: { ...common.ticks, includeBounds: false, callback: digits } };
	return { ...common, min: 0, grace: '5%', title: axisText(plot.x), ticks: { ...common.ticks, includeBounds: false, callback: (value) => whole(value) } };
}

function yAxis(plot) {
	const common = { grid: { color: colour('line'), borderColor: colour('line') }, title: axisText(plot.y), stacked: Boolean(plot.stacked) };
	if (plot.log)
		return { ...common, type: 'logarithmic', ticks: { color: colour('soft'), autoSkip: true, callback: (value) => roundTick(value) ? value.toLocaleString('en-US', { maximumSignificantDigits: 3 }) : null } };
	return { ...common, type: 'linear', beginAtZero: true, ticks: { color: colour('soft'), maxTicksLimit: 7, callback: (value) => value.toLocaleString('en-US') } };
}

function tooltip(plot) {
	const place = (point) => plot.nines ? `${+(100 * point.share).toFixed(4)} % within` : plot.time ? `at ${digits(point.x)} s` : `${whole(point.x)} ${plot.x}`;
	return { callbacks: { title: (items) => items.length ? place(items[0].raw) : '', label: (item) => ` ${item.dataset.label}: ${plot.write(item.raw.y)}` } };
}

function config(plot, run) {
	return {
		type: 'line', plugins: [marksPlugin],
		data: { datasets: plot.lines.map((one) => dataset(one, plot)) },
		options: {
			animation: false, responsive: true, maintainAspectRatio: false, normalized: true, color: colour('ink'),
			layout: { padding: { top: 16 } }, marks: plot.marks || (plot.time ? timeMarks(run) : []),
			interaction: { mode: plot.time ? 'index' : 'nearest', intersect: false, axis: 'x' },
			scales: { x: xAxis(plot, run), y: yAxis(plot) },
			plugins: { tooltip: tooltip(plot), legend: { position: 'bottom', align: 'start', labels: { ...(plot.lines.some((one) => one.points) ? { usePointStyle: true } : { boxHeight: 2, boxWidth: 22 }), color: colour('ink') } } },
		},
	};
}

let drawn = [];

// One plot into its figure; a fault in it is told in its place and spares the others.
function figure(row, run) {
	let plot;
	try {
		plot = row.make(run);
	} catch (fault) {
		return el('figure', { 'data-plot': row.id, 'data-state': 'failed' }, el('figcaption', {}, el('h3', {}, row.title), el('p', {}, `cannot be drawn: ${fault.message}`)));
	}
	if (!plot)
		return null;
	const title = plot.name || row.title;
	const canvas = el('canvas', { role: 'img', 'aria-label': `${title}. ${plot.note || ''}` });
	const made = el('figure', { class: row.wide ? 'wide' : null, 'data-plot': row.id, 'data-state': 'waiting' },
		el('figcaption', {}, el('h3', {}, title), plot.note ? el('p', { class: 'soft' }, plot.note) : null), el('div', { class: 'canvas' }, canvas));
	drawn.push({ made, canvas, plot, run, chart: null });
	return made;
}

// Draws what the page has (anew: in other colours, on paper).
function draw() {
	Chart.defaults.font.family = getComputedStyle(document.body).fontFamily;
	for (const one of drawn) {
		if (one.chart)
			one.chart.destroy();
		try {
			one.chart = new Chart(one.canvas, config(one.plot, one.run));
			one.made.dataset.state = 'drawn';
		} catch (fault) {
			one.made.dataset.state = 'failed';
			one.canvas.replaceWith(el('p', {}, `cannot be drawn: ${fault.message}`));
			one.chart = null;
		}
	}
}

// ---- the page ----

function header(run) {
	const scenario = report.scenario || {};
	return [el('h1', {}, [`Holdfast ${report.command === 'capacity' ? 'capacity' : 'rehearsal'}: ${scenario.name || ''}`, report.begun_at ? report.begun_at.replace('T', ' ').replace('Z', ' UTC') : null,
		(report.machine || {}).cpu].filter(Boolean).join(' · ')),
	el('p', { class: 'answer', id: 'answer' }, answerText(run)),
	scenario.about ? el('p', { class: 'soft' }, scenario.about) : null,
	report.verdict ? verdictBox(report.verdict, report.runs.length) : null,
	warnings(run)];
}

function runChoice(shown) {
	if (report.runs.length < 2)
		return null;
	return el('div', { class: 'runs no-paper', role: 'group', 'aria-label': 'Which run is shown' }, el('span', { class: 'soft' }, 'Shown below:'), report.runs.map((run, i) => {
		const button = el('button', { type: 'button', 'aria-pressed': String(i === shown) }, `run ${i + 1}` + (i === report.shown_run ? ' (median p99)' : ''));
		button.addEventListener('click', () => show(i));
		return button;
	}));
}

function save() {
	const at = URL.createObjectURL(new Blob([JSON.stringify(report, null, '\t')], { type: 'application/json' }));
	el('a', { href: at, download: `${(report.scenario || {}).name || 'report'}.json` }).click();
	setTimeout(() => URL.revokeObjectURL(at), 1000);
}

function show(shown) {
	const run = report.runs[shown];
	drawn.forEach((one) => one.chart && one.chart.destroy());
	drawn = [];
	const plots = (title, rows) => {
		const figures = rows.map((row) => figure(row, run)).filter(Boolean);
		return figures.length ? section(title, el('div', { class: 'plots' }, figures)) : null;
	};
	const found = report.capacity && [plots('Rate by rate', capacityPlots), capacityTable()];
	const rate = report.capacity && (report.capacity.rate_per_s > 0 ? `, at ${whole(report.capacity.rate_per_s)} shoppers a second` : ', at the lowest rate tried');
	const overTime = run && run.series ? plots('Over time' + (rate || ''), runPlots) : null;
	const button = el('button', { type: 'button', class: 'no-paper' }, 'Save the figures as JSON');
	button.addEventListener('click', save);
	document.getElementById('page').replaceChildren(...[header(run), found, run ? tiles(run) : null, runChoice(shown), overTime,
		run ? [countsTable(run), latencyTable(run)] : null, runsTable(shown), run ? skuTable(run) : null,
		report.verdict ? verdictTable(report.verdict) : null, settings(run),
		el('footer', {}, button, el('p', { class: 'soft' }, 'Made by holdfast-bench. This page is whole: it fetches nothing. Plots by Chart.js (MIT licence), whose text it carries.'))]
		.flat(Infinity).filter(Boolean));
	draw();
}

document.title = `${(report.scenario || {}).name || 'rehearsal'}: ${answerText(report.runs[report.shown_run])}`;
show(report.shown_run || 0);
matchMedia('(prefers-color-scheme: dark)').addEventListener('change', draw);
addEventListener('beforeprint', () => { document.documentElement.classList.add('on-paper'); draw(); });
addEventListener('afterprint', () => { document.documentElement.classList.remove('on-paper'); draw(); });
