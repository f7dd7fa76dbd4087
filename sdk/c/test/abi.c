/* What a C program does with libwardein, right and wrong: the whole life of a device over pipes, and every kind of bad argument. It is
 * compiled as strict C99, linked against either library, and run under valgrind and AddressSanitizer (../test.sh).
 *
 *   abi PEER */
#define _POSIX_C_SOURCE 200809L

#include <wardein.h>

#include "../examples/peer.h"

#define CHECK(condition)                                                                                              \
	do {                                                                                                          \
		checks++;                                                                                             \
		if (!(condition)) {                                                                                   \
			fprintf(stderr, "%s:%d: this does not hold: %s (%s)\n", __FILE__, __LINE__, #condition, why());  \
			exit(1);                                                                                      \
		}                                                                                                     \
	} while (0)

/* What stands for flash: memory of exactly the state's size, so that a byte too many is seen. */
struct flash {
	uint8_t *state;
	size_t length;
	int saves, is_broken;
	wardein_device *reenter;
	wardein_status reentered;
};

static unsigned checks;
static wardein_device *device;

static const char *why(void)
{
	static char text[512];
	size_t length;
	if (wardein_device_error(device, text, sizeof text, &length) != WARDEIN_OK) return "no handle";
	return text;
}

static int save(void *context, const uint8_t *state, size_t length)
{
	struct flash *flash = context;
	uint64_t value;
	if (flash->is_broken) return 1;
	if (flash->reenter != NULL) flash->reentered = wardein_device_get(flash->reenter, WARDEIN_SUITE, &value);
	free(flash->state);
	flash->state = malloc(length);
	if (flash->state == NULL) return 2;
	memcpy(flash->state, state, length);
	flash->length = length;
	flash->saves++;
	return 0;
}

static const wardein_attribute attributes[] = {
	{"serial", 6, (const uint8_t *)"A-77", 4},
	{"firmware", 8, (const uint8_t *)"1.4.2", 5},
};

static wardein_status begin(const uint8_t *identity, uint32_t suite, uint8_t *out, size_t capacity, size_t *length)
{
	return wardein_enroll_begin(device, identity, 65, suite, "klinik-nord", 11, "pump-0001", 9, attributes, 2, out,
	                            capacity, length);
}

static wardein_status prove(const uint8_t *challenge, size_t challenge_length, uint8_t *out, size_t capacity,
                            size_t *length)
{
	return wardein_prove(device, challenge, challenge_length, attributes, 2, "authenticate", 12, NULL, 0, out,
	                     capacity, length);
}

/* A buffer of exactly the size that is asked for, on the heap, where valgrind and AddressSanitizer watch its ends. */
static uint8_t *room(size_t size)
{
	uint8_t *memory = malloc(size > 0 ? size : 1);
	if (memory == NULL) exit(1);
	return memory;
}

static void authenticate(const struct peer *peer)
{
	uint8_t answer[8192], *challenge, *proof, *reply;
	size_t length, needed;
	CHECK(wardein_ask(device) == WARDEIN_OK);
	length = peer_ask(peer, 'A', NULL, 0, answer, sizeof answer);
	challenge = room(length);
	memcpy(challenge, answer, length);
	CHECK(prove(challenge, length, NULL, 0, &needed) == WARDEIN_ERR_BUFFER);
	proof = room(needed);
	CHECK(prove(challenge, length, proof, needed - 1, &needed) == WARDEIN_ERR_BUFFER);
	CHECK(prove(challenge, length, proof, needed, &needed) == WARDEIN_OK);
	CHECK(prove(challenge, length, proof, needed, &needed) == WARDEIN_ERR_ORDER);
	length = peer_prove(peer, proof, needed, NULL, 0, answer, sizeof answer);
	reply = room(length);
	memcpy(reply, answer, length);
	CHECK(wardein_acknowledge(device, reply, length - 1, NULL, 0, &needed) == WARDEIN_ERR_MALFORMED);
	CHECK(wardein_acknowledge(device, reply, length, NULL, 0, &needed) == WARDEIN_OK && needed == 0);
	free(challenge), free(proof), free(reply);
}

static void rekey(const struct peer *peer, uint32_t suite)
{
	uint8_t challenge[8192], reply[8192], body[4096], *proof, *beside;
	size_t length, first, second;
	uint64_t before, after;
	CHECK(wardein_device_get(device, WARDEIN_GENERATION, &before) == WARDEIN_OK);
	CHECK(wardein_ask(device) == WARDEIN_OK);
	length = peer_ask(peer, 'A', NULL, 0, challenge, sizeof challenge);
	CHECK(wardein_rekey(device, challenge, length, attributes, 2, suite, NULL, 0, &first, NULL, 0, &second)
	      == WARDEIN_ERR_BUFFER);
	proof = room(first), beside = room(second);
	CHECK(wardein_rekey(device, challenge, length, attributes, 2, suite, proof, first, &first, beside, second,
	                    &second) == WARDEIN_OK);
	length = peer_prove(peer, proof, first, beside, second, reply, sizeof reply);
	CHECK(wardein_acknowledge(device, reply, length, body, sizeof body, &length) == WARDEIN_OK && length > 0);
	CHECK(wardein_device_get(device, WARDEIN_GENERATION, &after) == WARDEIN_OK && after == before + 1);
	free(proof), free(beside);
}

static void life(const char *program, uint32_t suite)
{
	struct flash flash = {NULL, 0, 0, 0, NULL, WARDEIN_OK};
	struct peer peer;
	uint8_t identity[65], answer[8192], day[4], plain[64], *out;
	size_t length, needed;
	uint64_t value;
	peer_start(&peer, program);
	CHECK(wardein_device_new(save, &flash, &device) == WARDEIN_OK);
	peer_ask(&peer, 'K', NULL, 0, identity, sizeof identity);
	CHECK(begin(identity, suite, NULL, 0, &needed) == WARDEIN_ERR_BUFFER);
	out = room(needed);
	CHECK(begin(identity, suite, out, needed, &needed) == WARDEIN_OK);
	length = peer_ask(&peer, 'E', out, needed, answer, sizeof answer);
	free(out);

	/* The state is on flash before the confirmation leaves, and a confirmation that did not leave comes again. */
	flash.is_broken = 1;
	out = room(256);
	CHECK(wardein_enroll_finish(device, answer, length, 15, out, 256, &needed) == WARDEIN_ERR_SAVE && needed == 0);
	flash.is_broken = 0;
	flash.reenter = device;
	CHECK(wardein_confirm(device, out, 256, &needed) == WARDEIN_OK && flash.saves == 1);
	CHECK(flash.reentered == WARDEIN_ERR_BUSY);
	flash.reenter = NULL;
	peer_ask(&peer, 'C', out, needed, answer, sizeof answer);
	free(out);

	authenticate(&peer);
	peer_put(day, 86400);
	peer_ask(&peer, 'W', day, 4, answer, sizeof answer);
	authenticate(&peer);
	CHECK(wardein_device_get(device, WARDEIN_EPOCH, &value) == WARDEIN_OK && value == 24);
	rekey(&peer, suite);
	authenticate(&peer);

	CHECK(wardein_token(device, 0, "platform", 8, (const uint8_t *)"nonce", 5, NULL, 0, &needed)
	      == WARDEIN_ERR_BUFFER);
	out = room(needed);
	CHECK(wardein_token(device, 0, "platform", 8, (const uint8_t *)"nonce", 5, out, needed, &needed) == WARDEIN_OK);
	peer_ask(&peer, 'T', out, needed, answer, sizeof answer);
	free(out);
	CHECK(wardein_seal(device, 0, 0, (const uint8_t *)"ward 3", 6, (const uint8_t *)"37.2", 4, NULL, 0, &needed)
	      == WARDEIN_ERR_BUFFER);
	out = room(needed);
	CHECK(wardein_seal(device, 0, 0, (const uint8_t *)"ward 3", 6, (const uint8_t *)"37.2", 4, out, needed, &length)
	      == WARDEIN_OK && length <= needed);
	CHECK(peer_ask(&peer, 'S', out, length, answer, sizeof answer) == 4 && memcmp(answer, "37.2", 4) == 0);
	CHECK(wardein_open(device, (const uint8_t *)"ward 3", 6, out, length, plain, sizeof plain, &needed)
	      == WARDEIN_OK && needed == 4 && memcmp(plain, "37.2", 4) == 0);
	CHECK(wardein_open(device, (const uint8_t *)"ward 4", 6, out, length, plain, sizeof plain, &needed)
	      == WARDEIN_ERR_OPEN);
	free(out);

	/* Restarted from what was saved, and not from an older image. */
	CHECK(wardein_device_get(device, WARDEIN_WRITES, &value) == WARDEIN_OK);
	wardein_device_free(device);
	CHECK(wardein_device_new(save, &flash, &device) == WARDEIN_OK);
	out = room(flash.length);
	memcpy(out, flash.state, flash.length);
	CHECK(wardein_device_restore(device, out, flash.length, value + 1) == WARDEIN_ERR_ROLLED_BACK);
	CHECK(wardein_device_restore(device, out, flash.length, value) == WARDEIN_OK);
	free(out);
	authenticate(&peer);
	wardein_device_free(device);
	device = NULL;
	peer_stop(&peer);
	free(flash.state);
}

static void bad_arguments(void)
{
	struct flash flash = {NULL, 0, 0, 0, NULL, WARDEIN_OK};
	uint8_t identity[65] = {4}, out[1024];
	const uint8_t *end = (const uint8_t *)(UINTPTR_MAX - 7);
	size_t length = 77;
	uint64_t value;
	CHECK(wardein_device_new(NULL, &flash, &device) == WARDEIN_ERR_ARGUMENT && device == NULL);
	CHECK(wardein_device_new(save, &flash, NULL) == WARDEIN_ERR_ARGUMENT);
	CHECK(wardein_device_new(save, &flash, &device) == WARDEIN_OK);
	CHECK(wardein_ask(NULL) == WARDEIN_ERR_ARGUMENT);
	CHECK(wardein_device_get(device, WARDEIN_SUITE, NULL) == WARDEIN_ERR_ARGUMENT);
	CHECK(wardein_device_get(device, WARDEIN_SUITE, &value) == WARDEIN_ERR_ORDER);
	CHECK(wardein_device_restore(device, NULL, 100, 0) == WARDEIN_ERR_ARGUMENT);
	CHECK(wardein_device_restore(device, identity, SIZE_MAX, 0) == WARDEIN_ERR_ARGUMENT);
	CHECK(wardein_device_restore(device, end, 100, 0) == WARDEIN_ERR_ARGUMENT);
	CHECK(wardein_device_restore(device, NULL, 0, 0) == WARDEIN_ERR_MALFORMED);
	CHECK(begin(NULL, 1, out, sizeof out, &length) == WARDEIN_ERR_ARGUMENT);
	CHECK(begin(identity, 1, out, sizeof out, NULL) == WARDEIN_ERR_ARGUMENT);
	CHECK(begin(identity, 1, NULL, sizeof out, &length) == WARDEIN_ERR_ARGUMENT);
	CHECK(begin(identity, 1, out, SIZE_MAX, &length) == WARDEIN_ERR_ARGUMENT);
	CHECK(begin(identity, 1, identity, sizeof identity, &length) == WARDEIN_ERR_ARGUMENT);
	CHECK(begin(identity, 99, out, sizeof out, &length) == WARDEIN_ERR_ARGUMENT);
	CHECK(length == 77);
	CHECK(wardein_seal(device, 0, 0, NULL, 0, out, (size_t)1 << 40, out, sizeof out, &length) == WARDEIN_ERR_ARGUMENT);
	CHECK(wardein_device_error(device, NULL, 0, NULL) == WARDEIN_ERR_ARGUMENT);
	CHECK(strcmp(why(), "plaintext: has 1099511627776 bytes; it takes at most 16777216") == 0);
	wardein_device_free(device);
	wardein_device_free(NULL);
	device = NULL;
	CHECK(flash.saves == 0);
}

int main(int count, char **arguments)
{
	if (count != 2) {
		fprintf(stderr, "usage: abi PEER\n");
		return 2;
	}
	CHECK(wardein_abi() == WARDEIN_ABI);
	CHECK(strcmp(wardein_status_text(WARDEIN_OK), "done") == 0);
	CHECK(wardein_status_text(-1) != NULL && wardein_version() != NULL);
	bad_arguments();
	life(arguments[1], 1);
	life(arguments[1], 2);
	printf("libwardein %s: %u checks held\n", wardein_version(), checks);
	return 0;
}
