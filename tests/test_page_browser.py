"""The page of a report in chromium: every plot is drawn and has ink, nothing is thrown, said on the console or fetched, hostile names stay
text, and a phone need not scroll sideways. A probe is put into the page before its own scripts and after them; its findings come
back in the document's text."""
import copy, html, json, os, re, subprocess, sys, tempfile

bench = sys.argv[1]
work = tempfile.TemporaryDirectory(prefix="holdfast-browser.")
passed = failed = 0

EARLY = """<script>
const faults = [];
addEventListener('error', (e) => faults.push('thrown: ' + e.message));
addEventListener('unhandledrejection', (e) => faults.push('rejected: ' + e.reason));
document.addEventListener('securitypolicyviolation', (e) => faults.push('wanted to fetch ' + e.blockedURI));
for (const name of ['error', 'warn']) console[name] = (...what) => faults.push('console: ' + what.join(' '));
</script>"""
LATE = """<script>
// Lines of a chart whose colour is not to be found inside its axes, though they have points.
const unseen = (chart) => {
	const { left, top, right, bottom } = chart.chartArea, scale = chart.currentDevicePixelRatio;
	const pixels = chart.ctx.getImageData(left * scale, top * scale, (right - left) * scale, (bottom - top) * scale).data;
	return chart.data.datasets.filter((set) => {
		const [r, g, b] = [1, 3, 5].map((at) => parseInt(set.borderColor.slice(at, at + 2), 16));
		let n = 0;
		for (let i = 0; i < pixels.length; i += 4)
			n += pixels[i + 3] > 200 && Math.abs(pixels[i] - r) + Math.abs(pixels[i + 1] - g) + Math.abs(pixels[i + 2] - b) < 40;
		return n < 3 && set.data.some((point) => point.y !== null);
	}).map((set) => set.label);
};
document.documentElement.dataset.probe = JSON.stringify({
	faults, hostile: window.hostile === undefined ? 0 : 1, elements: document.querySelectorAll('#page img, #page script').length,
	fetched: performance.getEntriesByType('resource').map((e) => e.name), wide: document.documentElement.scrollWidth - innerWidth,
	answer: document.getElementById('answer').textContent, verdict: (document.querySelector('#verdict strong') || { textContent: '' }).textContent, text: document.getElementById('page').innerText,
	plots: [...document.querySelectorAll('figure')].map((f) => ({ id: f.dataset.plot, state: f.dataset.state,
		unseen: f.querySelector('canvas') ? unseen(Chart.getChart(f.querySelector('canvas'))) : [] })),
});
</script>"""


def verdict(name, wrong):
    global passed, failed
    if wrong:
        print(f"FAIL {name}: {str(wrong)[:600]}")
        failed += 1
    else:
        print(f"ok {name}")
        passed += 1


def look(name, report, width):
    """What the probe found in the page of `report` at `width`; says on the way whether the console was quiet."""
    source, page = os.path.join(work.name, name + ".json"), os.path.join(work.name, name + ".html")
    with open(source, "w") as to:
        json.dump(report, to)
    text = subprocess.run([bench, "page", source], stdout=subprocess.PIPE, check=True, timeout=60).stdout.decode()
    assert text.count("<main") == 1 and text.count("</body>") == 1
    # The body's beginning and end: no script of the page itself is touched.
    with open(page, "w") as to:
        to.write(text.replace("<main", EARLY + "<main").replace("</body>", LATE + "</body>"))
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
               "--user-data-dir=" + os.path.join(work.name, "profile"), f"--window-size={width},2000", "--enable-logging=stderr",
               "--dump-dom", "file://" + page]
    run = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=100)
    said = [line for line in run.stderr.decode(errors="replace").splitlines() if "CONSOLE" in line]
    found = re.search(r'data-probe="([^"]*)"', run.stdout.decode())
    probe = json.loads(html.unescape(found.group(1))) if found else {}
    verdict(f"{name}_is_drawn_in_silence", said or (probe["faults"] if probe else "the page's scripts did not come to their end"))
    return probe


def undrawn(probe, wanted):
    """Plots that are missing, failed, or lack a line."""
    plots = {plot["id"]: plot for plot in probe.get("plots", [])}
    return ([f"{name} is missing" for name in wanted if name not in plots] +
            [plot for plot in plots.values() if plot["state"] != "drawn" or plot["unseen"]])


with open("bench/sample_report.json") as f:
    sample = json.load(f)
ALWAYS = ["rates", "latency", "percentiles", "stock", "refused", "cpu", "memory", "in-flight", "late"]

probe = look("a_report", sample, 1280)
verdict("every_plot_has_ink", undrawn(probe, ALWAYS + (["runs"] if len(sample["runs"]) > 1 else [])))
verdict("nothing_is_fetched", probe.get("fetched"))
verdict("kept_promises_are_called_so", None if "kept" in probe.get("verdict", "") else probe.get("verdict"))
sold = sum(sku["sold_n"] for sku in sample["runs"][sample["shown_run"]]["skus"])
verdict("the_answer_stands_first", None if f"{sold:,} of " in probe.get("answer", "") else probe.get("answer"))

hostile = copy.deepcopy(sample)
name = '</script><script>window.hostile=1</script><!--<img src=x onerror="window.hostile=1">'
hostile["scenario"].update(name=name, about=name, text=name, values={name: name})
hostile["server"]["options"] = [name]
hostile["machine"]["cpu"] = name
hostile["complete"], hostile["why"], hostile["verdict"]["good"] = False, name, False
for run in hostile["runs"]:
    run["counts"]["refused"][name] = 30000
    run["series"]["refused_per_s"][name] = [30000] * len(run["series"]["t_s"])
    for cell in run["skus"] + run["series"]["stock_left"]:
        cell["sku"] = cell["location"] = name
probe = look("a_hostile_report_on_a_phone", hostile, 390)
verdict("hostile_names_stay_text", probe.get("hostile") or probe.get("elements") or (None if name in probe.get("text", "") else "the name is not in the page"))
verdict("hostile_names_spare_the_plots", undrawn(probe, ALWAYS))
verdict("a_phone_need_not_scroll_sideways", f"{probe.get('wide')} pixels too wide" if probe.get("wide", 1) > 0 else None)

verdict("an_early_end_is_no_broken_promise", None if "Not proven" in probe.get("verdict", "") else probe.get("verdict"))

capacity = copy.deepcopy(sample)
capacity.update(command="capacity", runs=[], shown_run=0, summary={})
capacity["verdict"]["good"] = capacity["verdict"]["checks"][0]["good"] = False
capacity["capacity"] = {"p99_limit_ms": 10, "rate_per_s": 20000, "gave_way": "the server's processor", "text": "20,000 a second kept it", "steps": [
    {"rate_per_s": rate, "kept": rate <= 20000, "hold_p99_ms": rate / 3000, "answered_share": 1, "overloaded_n": 0, "server_cpu": rate / 40000,
     "client_cpu": rate / 80000, "client_late_p99_ms": 0.1, "text": ""} for rate in (10000, 20000, 40000, 30000)]}
probe = look("a_capacity_without_runs", capacity, 1280)
verdict("the_rate_is_plotted_against_p99", undrawn(probe, ["capacity", "capacity-cpu"]))
verdict("the_rate_stands_first", None if probe.get("answer", "").startswith("20,000 shoppers a second") else probe.get("answer"))
verdict("a_broken_promise_is_called_so", None if "broken" in probe.get("verdict", "") else probe.get("verdict"))

empty = copy.deepcopy(sample)
empty.update(runs=[], shown_run=None, summary={}, complete=False, why="interrupted")
probe = look("a_report_of_nothing", empty, 390)
verdict("what_was_not_measured_is_said", None if "Nothing was measured" in probe.get("answer", "") else probe.get("answer"))

print(f"{passed} passed, {failed} failed")
sys.exit(failed != 0)
