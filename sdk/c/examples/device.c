/* A device over a transport of its own: it enrolls, saves its state in a file, proves a request, restarts, and logs in to a platform.
 *
 *   device PEER STATE-FILE
 *
 * PEER is the program at the other end of a pair of pipes (peer.rs). C99 and POSIX. */
#define _POSIX_C_SOURCE 200809L

#include <wardein.h>

#include "peer.h"

#include <fcntl.h>
#include <sys/stat.h>

static const char *state_file;

/* Durable and whole, or not at all: written beside, synced, renamed. (The directory is to be synced too, where power may fail.) */
static int save(void *context, const uint8_t *state, size_t length)
{
	char beside[4096];
	int file, is_fine;
	(void)context;
	if (snprintf(beside, sizeof beside, "%s.new", state_file) >= (int)sizeof beside) return -1;
	file = open(beside, O_WRONLY | O_CREAT | O_TRUNC, S_IRUSR | S_IWUSR);
	if (file < 0) return -1;
	is_fine = write(file, state, length) == (ssize_t)length && fsync(file) == 0;
	is_fine = close(file) == 0 && is_fine;
	return is_fine && rename(beside, state_file) == 0 ? 0 : -1;
}

/* Says what went wrong and ends the example. A device would act on the status. */
static void must(wardein_device *device, const char *what, wardein_status status)
{
	char why[512];
	size_t length;
	if (status == WARDEIN_OK) return;
	if (wardein_device_error(device, why, sizeof why, &length) != WARDEIN_OK) why[0] = 0;
	fprintf(stderr, "%s: %s: %s\n", what, wardein_status_text(status), why);
	exit(1);
}

static wardein_device *new_device(void)
{
	wardein_device *device;
	must(NULL, "new", wardein_device_new(save, NULL, &device));
	return device;
}

/* What this device is, measured for each proof. */
static const wardein_attribute attributes[] = {
	{"serial", 6, (const uint8_t *)"A-77", 4},
	{"firmware", 8, (const uint8_t *)"1.4.2", 5},
};
enum { ATTRIBUTES = sizeof attributes / sizeof *attributes };

static void enroll(wardein_device *device, const struct peer *station)
{
	uint8_t identity[65], request[2048], reply[2048], confirmation[512];
	size_t length, reply_length;
	/* In firmware it is a constant: the key that the authority signs enrollments with. */
	peer_ask(station, 'K', NULL, 0, identity, sizeof identity);
	must(device, "enroll",
	     wardein_enroll_begin(device, identity, sizeof identity, 1, "klinik-nord", 11, "pump-0001", 9, attributes,
	                          ATTRIBUTES, request, sizeof request, &length));
	reply_length = peer_ask(station, 'E', request, length, reply, sizeof reply);
	must(device, "enroll",
	     wardein_enroll_finish(device, reply, reply_length, WARDEIN_PURPOSE_TOKEN | WARDEIN_PURPOSE_DATA,
	                           confirmation, sizeof confirmation, &length));
	peer_ask(station, 'C', confirmation, length, reply, sizeof reply);
	printf("enrolled\n");
}

static void authenticate(wardein_device *device, const struct peer *authority)
{
	uint8_t challenge[8192], proof[1024], reply[512];
	uint64_t time;
	size_t length, challenge_length, reply_length;
	must(device, "ask", wardein_ask(device));
	challenge_length = peer_ask(authority, 'A', NULL, 0, challenge, sizeof challenge);
	must(device, "prove",
	     wardein_prove(device, challenge, challenge_length, attributes, ATTRIBUTES, "authenticate", 12, NULL, 0,
	                   proof, sizeof proof, &length));
	reply_length = peer_prove(authority, proof, length, NULL, 0, reply, sizeof reply);
	must(device, "acknowledge", wardein_acknowledge(device, reply, reply_length, NULL, 0, &length));
	must(device, "get", wardein_device_get(device, WARDEIN_KNOWN_TIME, &time));
	printf("acknowledged at %llu\n", (unsigned long long)time);
}

static wardein_device *restart(void)
{
	uint8_t state[WARDEIN_MAX_STATE];
	wardein_device *device = new_device();
	FILE *file = fopen(state_file, "rb");
	size_t length = file == NULL ? 0 : fread(state, 1, sizeof state, file);
	if (file != NULL) fclose(file);
	must(device, "restore", wardein_device_restore(device, state, length, 0));
	return device;
}

int main(int count, char **arguments)
{
	struct peer peer;
	wardein_device *device;
	uint8_t token[512];
	size_t length;
	if (count != 3) {
		fprintf(stderr, "usage: device PEER STATE-FILE\n");
		return 2;
	}
	if (wardein_abi() != WARDEIN_ABI) {
		fprintf(stderr, "the library is of interface %u, this program of %u\n", wardein_abi(), WARDEIN_ABI);
		return 1;
	}
	state_file = arguments[2];
	peer_start(&peer, arguments[1]);

	device = new_device();
	enroll(device, &peer);
	authenticate(device, &peer);
	wardein_device_free(device);

	device = restart();
	authenticate(device, &peer);
	must(device, "token",
	     wardein_token(device, 0, "platform", 8, (const uint8_t *)"nonce", 5, token, sizeof token, &length));
	peer_ask(&peer, 'T', token, length, token, sizeof token);
	printf("logged in with a token of %zu bytes\n", length);
	wardein_device_free(device);
	peer_stop(&peer);
	return 0;
}
