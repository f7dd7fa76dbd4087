/* One session over time: it authenticates once for each line of standard input, whatever became of the authority meanwhile (../served.sh).
 *
 *   turns DIRECTORY */
#include <wardein.h>

#include <stdio.h>
#include <string.h>

int main(int count, char **arguments)
{
	wardein_session *session;
	uint64_t time;
	int c;
	if (count != 2 || wardein_session_new(arguments[1], strlen(arguments[1]), &session) != WARDEIN_OK) return 2;
	while ((c = getchar()) != EOF) {
		if (c != '\n') continue;
		printf("%s\n", wardein_status_text(wardein_session_authenticate(session, 20000, &time)));
		fflush(stdout);
	}
	wardein_session_free(session);
	return 0;
}
