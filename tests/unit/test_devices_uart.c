// SPDX-License-Identifier: BSD-3-Clause
/* devices/uart.c: registers one by one, and the steps by which a driver finds out what it has. */
#include "tests/unit/uart_guest.h"

/* ---- registers ---- */

static void registers_are_born_as_the_data_sheet_says(void **state __unused)
{
	assert_int_equal(in(IER), 0);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(in(LCR), 0);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(MSR), 0xb0);
	assert_int_equal(in(RBR), 0);
	assert_int_equal(pulses(), 0);
}

static void the_divisor_hides_behind_dlab_and_is_not_zero(void **state __unused)
{
	out(LCR, 0x83);
	assert_int_equal(in(THR), 1);
	out(THR, 0x34);
	out(IER, 0x12);
	assert_int_equal(in(THR), 0x34);
	assert_int_equal(in(IER), 0x12);
	out(LCR, 0x03);
	assert_int_equal(in(LCR), 0x03);
	assert_int_equal(in(IER), 0);
	assert_host_got("");
}

static void other_widths_read_all_ones_and_write_nothing(void **state __unused)
{
	static const unsigned len[] = { 2, 4, 8 };

	for (unsigned i = 0; i < ARRAY_SIZE(len); i++) {
		uint64_t v = UINT64_MAX;

		uart_bus_ops.read(uart, 0, &v, len[i]);
		assert_true(v == UINT64_MAX);
		v = 0x4141414141414141;
		uart_bus_ops.write(uart, THR, &v, len[i]);
	}
	assert_host_got("");
}

/* The steps of the autoconfiguration of Linux, and the answers of a 16550A. */
static void a_driver_takes_it_for_a_16550a(void **state __unused)
{
	uint8_t mcr = in(MCR), a, b;

	out(IER, 0);
	assert_int_equal(in(IER), 0);
	out(IER, 0xff);
	assert_int_equal(in(IER), 0x0f); /* no more than four bits */
	out(IER, 0);
	out(MCR, 0x10 | 0x0a);
	assert_int_equal(in(MSR)&0xf0, 0x90); /* OUT2 and RTS looped to DCD and CTS */
	out(MCR, mcr);
	out(LCR, 0xbf);
	out(FCR, 0); /* would be EFR of a 16650 */
	out(LCR, 0);
	out(FCR, 0x01);
	assert_int_equal(in(IIR) >> 6, 3); /* FIFOs that work */
	out(LCR, 0x80);
	assert_int_not_equal(in(FCR), 0); /* no EFR: not a 16C850 */
	out(LCR, 0xbf);
	assert_int_not_equal(in(FCR), 0); /* nor a 16650V2 */
	out(LCR, 0);
	a = in(MCR);
	out(LCR, 0xe0);
	b = in(FCR);
	assert_int_equal((a ^ b) & 0x10, 0); /* EXCR2 of a National chip may be there ... */
	out(LCR, 0);
	out(MCR, a ^ 0x10);
	out(LCR, 0xe0);
	b = in(FCR);
	out(LCR, 0);
	out(MCR, a);
	assert_int_equal((a ^ b) & 0x10, 0); /* ... and is not */
	out(FCR, 0x01);
	a = in(IIR) >> 5;
	out(FCR, 0x01);
	out(LCR, 0x80);
	out(FCR, 0x21);
	out(LCR, 0);
	b = in(IIR) >> 5;
	assert_int_equal(a, 6);
	assert_int_equal(b, 6); /* no 64-byte FIFO: not a 16750 */
	out(SCR, 0x5a);
	assert_int_equal(in(SCR), 0x5a);
	out(FCR, 0);
	assert_int_equal(in(IIR), 0x01);
}

/* Linux, at the start of the port: OUT2 is down, and the cause must come back each time. */
static void the_transmitter_test_of_a_driver_finds_no_bug(void **state __unused)
{
	out(MCR, 0x01);
	pulses();
	out(IER, 0x02);
	assert_int_equal(in(IIR)&0x0f, 0x02);
	out(IER, 0);
	out(IER, 0x02);
	assert_int_equal(in(IIR)&0x0f, 0x02);
	out(IER, 0);
	assert_int_equal(pulses(), 0); /* or another vCPU would read IIR in between */
	out(MCR, 0x09);
	out(IER, 0x02);
	assert_int_equal(in(LSR)&0x60, 0x60);
	assert_int_equal(in(IIR)&0x0f, 0x02);
	out(IER, 0);
	assert_int_equal(pulses(), 1);
}

/* ---- interrupts ---- */

static void enabling_the_transmitter_interrupt_pulses_each_time(void **state __unused)
{
	out(IER, 0x02);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x01); /* reading it took it away */
	assert_int_equal(pulses(), 0);
	out(IER, 0x02); /* enabled already */
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(pulses(), 0);
	out(IER, 0);
	out(IER, 0x02);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x02);
}

static void a_burst_of_writes_pulses_once_for_a_guest_that_reads_iir(void **state __unused)
{
	out(IER, 0x02);
	assert_int_equal(in(IIR), 0x02);
	pulses();
	for (int i = 0; i < 16; i++)
		out(THR, 'x');
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x02);
	assert_host_got("xxxxxxxxxxxxxxxx");
}

static void each_write_pulses_for_a_guest_that_does_not_read_iir(void **state __unused)
{
	out(IER, 0x02);
	pulses();
	for (int i = 0; i < 4; i++) {
		out(THR, 'x');
		assert_int_equal(pulses(), 1);
	}
}

static void input_pulses_when_it_arrives_or_when_it_is_enabled(void **state __unused)
{
	type("a");
	assert_int_equal(pulses(), 0);
	out(IER, 0x01);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x04);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(RBR), 'a');
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(in(IIR), 0x01);
	pulses();
	type("b");
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(RBR), 'b');
}

static void a_handler_that_leaves_input_is_called_again(void **state __unused)
{
	out(FCR, 0x01);
	out(IER, 0x01);
	type("abc");
	assert_true(pulses() > 0);
	assert_int_equal(in(RBR), 'a'); /* without a look at IIR */
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(pulses(), 1); /* it may take nothing after this look */
	assert_int_equal(in(RBR), 'b');
	assert_int_equal(in(IIR), 0xc4);
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(RBR), 'c');
	assert_int_equal(in(IIR), 0xc1);
	assert_int_equal(pulses(), 0);
}

static void a_handler_that_sees_one_cause_of_two_is_called_again(void **state __unused)
{
	out(IER, 0x03);
	type("a");
	pulses();
	assert_int_equal(in(IIR), 0x04); /* input comes first */
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(RBR), 'a');
	assert_int_equal(in(IIR), 0x02);
	assert_int_equal(in(IIR), 0x01);
	assert_int_equal(pulses(), 0);
}

static void no_interrupt_leaves_while_out2_is_down(void **state __unused)
{
	out(MCR, 0x03);
	out(IER, 0x03);
	type("a");
	assert_int_equal(pulses(), 0);
	assert_int_equal(in(IIR), 0x04);
	out(MCR, 0x0b);
	assert_int_equal(pulses(), 1);
}

static void the_trigger_tells_much_input_from_little(void **state __unused)
{
	static const struct {
		uint8_t fcr, level;
	} t[] = { { 0x01, 1 }, { 0x41, 4 }, { 0x81, 8 }, { 0xc1, 14 } };

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		out(FCR, t[i].fcr);
		out(IER, 0x01);
		for (unsigned n = 1; n <= 16; n++) {
			type("x");
			assert_int_equal(in(IIR), n >= t[i].level ? 0xc4 : 0xcc);
		}
		out(FCR, t[i].fcr | 0x02);
		assert_int_equal(in(LSR)&1, 0);
		out(IER, 0);
	}
}

static void without_fifos_there_is_one_byte_and_the_rest_waits(void **state __unused)
{
	type("ab");
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(RBR), 'a');
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(RBR), 'b');
	assert_int_equal(in(LSR), 0x60);
	out(FCR, 0x01);
	type("cde");
	assert_int_equal(in(LSR), 0x61);
	out(FCR, 0); /* the change of mode empties it */
	assert_int_equal(in(LSR), 0x60);
}

static void a_driver_that_resets_before_it_raises_rts_loses_nothing(void **state __unused)
{
	out(MCR, 0);
	type("abcdefghijklmnopqrstuvwxyz");
	out(FCR, 0x01);
	out(FCR, 0x07);
	out(FCR, 0);
	assert_int_equal(in(LSR), 0x60);
	in(RBR);
	out(MCR, 0x08);
	out(IER, 0x01);
	out(FCR, 0x81);
	assert_int_equal(in(LSR), 0x60);
	assert_int_equal(pulses(), 0);
	out(MCR, 0x0b);
	assert_true(pulses() > 0);
	for (int c = 'a'; c <= 'z'; c++) {
		assert_int_equal(in(LSR), 0x61);
		assert_int_equal(in(RBR), c);
	}
	assert_int_equal(in(LSR), 0x60);
}

/* ---- loopback ---- */

static void loopback_echoes_and_the_file_sees_nothing(void **state __unused)
{
	out(FCR, 0x01);
	out(MCR, 0x1b);
	type("host");
	for (int c = 'a'; c < 'a' + 16; c++)
		out(THR, (unsigned)c);
	assert_int_equal(in(LSR), 0x61);
	for (int c = 'a'; c < 'a' + 16; c++)
		assert_int_equal(in(RBR), c);
	assert_int_equal(in(LSR), 0x60);
	assert_host_got("");
	out(MCR, 0x0b);
	for (const char *p = "host"; *p; p++) {
		assert_int_equal(in(LSR), 0x61);
		assert_int_equal(in(RBR), *p);
	}
}

static void loopback_that_overruns_says_so_once(void **state __unused)
{
	out(FCR, 0x01);
	out(MCR, 0x1b);
	out(IER, 0x04);
	for (int c = 'a'; c < 'a' + 16; c++)
		out(THR, (unsigned)c);
	assert_int_equal(pulses(), 0);
	out(THR, '!');
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0xc6);
	assert_int_equal(in(LSR), 0x63);
	assert_int_equal(in(LSR), 0x61);
	assert_int_equal(in(IIR), 0xc1);
	for (int c = 'a'; c < 'a' + 16; c++)
		assert_int_equal(in(RBR), c);
	assert_int_equal(in(LSR), 0x60);
}

static void loopback_turns_the_modem_lines_round(void **state __unused)
{
	static const struct {
		uint8_t mcr, msr;
	} t[] = { { 0x10, 0x00 }, { 0x11, 0x20 }, { 0x12, 0x10 }, { 0x14, 0x40 }, { 0x18, 0x80 },
		{ 0x1f, 0xf0 } };

	for (unsigned i = 0; i < ARRAY_SIZE(t); i++) {
		out(MCR, t[i].mcr);
		assert_int_equal(in(MSR)&0xf0, t[i].msr);
		assert_int_equal(in(MSR), t[i].msr); /* the deltas were read */
	}
	out(MCR, 0x14);
	in(MSR);
	out(IER, 0x08);
	out(MCR, 0x1a); /* ring ends, CTS and DCD rise */
	assert_int_equal(pulses(), 1);
	assert_int_equal(in(IIR), 0x00);
	assert_int_equal(in(MSR), 0x9d);
	assert_int_equal(in(IIR), 0x01);
	out(MCR, 0x0b);
	assert_int_equal(in(MSR), 0xb2);
}

int main(void)
{
#define T(fn) cmocka_unit_test_setup_teardown(fn, make_stream, drop_stream)
	const struct CMUnitTest tests[] = {
		T(registers_are_born_as_the_data_sheet_says),
		T(the_divisor_hides_behind_dlab_and_is_not_zero),
		T(other_widths_read_all_ones_and_write_nothing),
		T(a_driver_takes_it_for_a_16550a),
		T(the_transmitter_test_of_a_driver_finds_no_bug),
		T(enabling_the_transmitter_interrupt_pulses_each_time),
		T(a_burst_of_writes_pulses_once_for_a_guest_that_reads_iir),
		T(each_write_pulses_for_a_guest_that_does_not_read_iir),
		T(input_pulses_when_it_arrives_or_when_it_is_enabled),
		T(a_handler_that_leaves_input_is_called_again),
		T(a_handler_that_sees_one_cause_of_two_is_called_again),
		T(no_interrupt_leaves_while_out2_is_down),
		T(the_trigger_tells_much_input_from_little),
		T(without_fifos_there_is_one_byte_and_the_rest_waits),
		T(a_driver_that_resets_before_it_raises_rts_loses_nothing),
		T(loopback_echoes_and_the_file_sees_nothing),
		T(loopback_that_overruns_says_so_once),
		T(loopback_turns_the_modem_lines_round),
	};

	signal(SIGPIPE, SIG_IGN);
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
