/* The device of a state directory, in touch with its authority: what `wardein-device authenticate`, `certificate`, `token` and `seal`
 * do, in a program of one's own. The directory is one that `wardein-device enroll` or `wardein device enroll` made.
 *
 *   session DIRECTORY [AUDIENCE]
 *
 * C99. */
#include <wardein.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DEADLINE_MS = 20000 };

static void must(wardein_session *session, const char *what, wardein_status status)
{
	char why[1024], code[64];
	size_t length;
	int32_t advice;
	if (status == WARDEIN_OK) return;
	if (wardein_session_error(session, why, sizeof why, &length) != WARDEIN_OK) why[0] = 0;
	fprintf(stderr, "%s: %s: %s\n", what, wardein_status_text(status), why);
	if (status == WARDEIN_ERR_REFUSED
	    && wardein_session_refusal(session, code, sizeof code, &length, &advice) == WARDEIN_OK)
		fprintf(stderr, "refused with %s; advice %d\n", code, (int)advice);
	wardein_session_free(session);
	exit(status == WARDEIN_ERR_REFUSED ? 3 : 1);
}

static void write_out(const char *path, const uint8_t *bytes, size_t length)
{
	FILE *file = fopen(path, "wb");
	if (file == NULL || fwrite(bytes, 1, length, file) != length || fclose(file) != 0) {
		perror(path);
		exit(1);
	}
}

int main(int count, char **arguments)
{
	static uint8_t pem[1 << 16];
	uint8_t message[1024], due;
	wardein_session *session;
	uint64_t time, not_after, generation;
	size_t length;
	const char *reading = "37.2";
	if (count < 2 || count > 5) {
		fprintf(stderr, "usage: session DIRECTORY [AUDIENCE TOKEN-FILE SEALED-FILE]\n");
		return 2;
	}
	must(NULL, "new", wardein_session_new(arguments[1], strlen(arguments[1]), &session));
	must(session, "authenticate", wardein_session_authenticate(session, DEADLINE_MS, &time));
	printf("acknowledged at %llu\n", (unsigned long long)time);
	must(session, "rekey due", wardein_session_rekey_due(session, DEADLINE_MS, &due));
	if (due) {
		must(session, "rekey", wardein_session_rekey(session, DEADLINE_MS, &generation));
		printf("generation %llu\n", (unsigned long long)generation);
	}
	must(session, "certify", wardein_session_certify(session, DEADLINE_MS, &not_after));
	must(session, "certificate", wardein_session_certificate(session, pem, sizeof pem, &length));
	printf("certificates of %zu bytes, until %llu\n", length, (unsigned long long)not_after);
	must(session, "trust bundle", wardein_session_trust_bundle(session, DEADLINE_MS, pem, sizeof pem, &length));
	printf("trust bundle of %zu bytes\n", length);
	if (count == 5) {
		must(session, "token",
		     wardein_session_token(session, DEADLINE_MS, arguments[2], strlen(arguments[2]), NULL, 0, message,
		                           sizeof message, &length));
		write_out(arguments[3], message, length);
		must(session, "seal",
		     wardein_session_seal(session, DEADLINE_MS, NULL, 0, (const uint8_t *)reading, strlen(reading), message,
		                          sizeof message, &length));
		write_out(arguments[4], message, length);
		printf("a token and a sealed reading\n");
	}
	wardein_session_free(session);
	return 0;
}
