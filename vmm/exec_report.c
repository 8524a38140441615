// SPDX-License-Identifier: BSD-3-Clause
/* What is told of a command that is over: to programs, to people, as a picture. */
#include <inttypes.h>
#include <stdio.h>

#include "vmm/exec.h"

static const char *const exec_phases[] = { "monitor", "kernel", "init", "command", "power-off" };

void exec_report_console(struct exec_report *r, const char *buf, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		r->tail[r->tail_at] = buf[i];
		r->tail_at = (r->tail_at + 1) % sizeof(r->tail);
		r->tail_len = MIN(r->tail_len + 1, sizeof(r->tail));
	}
}

size_t exec_report_tail(const struct exec_report *r, char *buf)
{
	size_t from = (r->tail_at + sizeof(r->tail) - r->tail_len) % sizeof(r->tail);

	for (size_t i = 0; i < r->tail_len; i++)
		buf[i] = r->tail[(from + i) % sizeof(r->tail)];
	return r->tail_len;
}

/** Seconds of phase i, or a negative number: it was not all seen. */
static double exec_report_phase(const struct exec_report *r, unsigned i)
{
	if (!r->at[i] || !r->at[i + 1])
		return -1;
	return (double)(r->at[i + 1] - r->at[i]) * 1e-9;
}

/** A string of JSON (RFC 8259, section 7). Bytes that are no ASCII are shown as \u00XX. */
static void exec_report_string(FILE *f, const char *s, size_t len)
{
	fputc('"', f);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)s[i];

		if (c == '"' || c == '\\')
			fprintf(f, "\\%c", c);
		else if (c == '\n')
			fputs("\\n", f);
		else if (c < ' ' || c > '~')
			fprintf(f, "\\u%04x", c);
		else
			fputc(c, f);
	}
	fputc('"', f);
}

void exec_report_json(const struct exec_report *r, FILE *f)
{
	char tail[EXEC_TAIL];
	size_t len = exec_report_tail(r, tail);
	const char *comma = "";

	fprintf(f, "{\n  \"status\": %d,\n  \"cause\": \"%s\",\n  \"message\": ", r->status,
		r->cause);
	exec_report_string(f, r->why.msg, strlen(r->why.msg));
	if (r->has_exited) {
		fprintf(f, ",\n  \"%s\": %" PRIu32, r->exited.is_signal ? "signal" : "exit_status",
			r->exited.value);
		fprintf(f, ",\n  \"oom_kills\": %" PRIu32, r->exited.oom_kills);
	}
	fprintf(f, ",\n  \"peak_memory_bytes\": %" PRIu64 ",\n  \"seconds\": {", r->peak_bytes);
	for (unsigned i = 0; i < ARRAY_SIZE(exec_phases); i++) {
		if (exec_report_phase(r, i) < 0)
			continue;
		fprintf(f, "%s\"%s\": %.6f", comma, exec_phases[i], exec_report_phase(r, i));
		comma = ", ";
	}
	fprintf(f, "},\n  \"console_tail\": ");
	exec_report_string(f, tail, len);
	fprintf(f, "\n}\n");
}

void exec_report_timings(const struct exec_report *r, FILE *f)
{
	for (unsigned i = 0; i < ARRAY_SIZE(exec_phases); i++) {
		if (exec_report_phase(r, i) >= 0)
			fprintf(f, "mayfly: %-10s %10.3f ms\n", exec_phases[i],
				exec_report_phase(r, i) * 1e3);
	}
	fprintf(f, "mayfly: %-10s %10.3f ms\n", "all",
		(double)(r->at[EXEC_AT_END] - r->at[EXEC_AT_START]) * 1e-6);
}

void exec_report_timeline(const struct exec_report *r, FILE *f)
{
	static const char *const colours[] = { "#4e79a7", "#f28e2b", "#76b7b2", "#59a14f",
		"#b07aa1" };
	const double width = 860, all = (double)(r->at[EXEC_AT_END] - r->at[EXEC_AT_START]) * 1e-9;
	unsigned row = 0;

	fprintf(f,
		"<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"190\" "
		"font-family=\"sans-serif\" font-size=\"13\">\n"
		"<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
		"<text x=\"20\" y=\"24\">mayfly exec: %.3f ms, status %d (%s)</text>\n",
		width + 40, all * 1e3, r->status, r->cause);
	for (unsigned i = 0; i < ARRAY_SIZE(exec_phases); i++) {
		double took = exec_report_phase(r, i), from;

		if (took < 0 || all <= 0)
			continue;
		from = (double)(r->at[i] - r->at[EXEC_AT_START]) * 1e-9;
		fprintf(f, "<rect x=\"%.2f\" y=\"%u\" width=\"%.2f\" height=\"20\" fill=\"%s\"/>\n",
			20 + from / all * width, 40 + 28 * row, MAX(took / all * width, 1.0),
			colours[i]);
		fprintf(f, "<text x=\"%.2f\" y=\"%u\"%s>%s %.3f ms</text>\n",
			from / all > 0.6 ? 16 + from / all * width
					 : 26 + MIN((from + took) / all, 0.75) * width,
			55 + 28 * row, from / all > 0.6 ? " text-anchor=\"end\"" : "",
			exec_phases[i], took * 1e3);
		row++;
	}
	fprintf(f, "</svg>\n");
}
