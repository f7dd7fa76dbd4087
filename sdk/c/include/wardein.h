/* libwardein: the device's side of Wardein.
 *
 * Written by cbindgen; do not edit. README.md beside its sources says how to build, link and use it.
 *
 * Arguments. A length goes with each pointer. Text is UTF-8, needs no zero at its end, and its length does not count one. NULL
 * is taken only with the length 0. What is NULL, misaligned, too long, beyond the end of memory, or overlaps what the call
 * writes is refused as WARDEIN_ERR_ARGUMENT, and nothing is done. Undefined, as everywhere in C: pointers to memory that is not
 * the caller's, lengths greater than that memory, memory that another thread changes meanwhile, a handle after it was freed.
 *
 * Buffers. The caller gives a buffer, its capacity, and where its length goes. Where it is too small, the call answers
 * WARDEIN_ERR_BUFFER, `*length` is the capacity that suffices, and no key and no number is used up; a NULL buffer of capacity 0
 * asks for that. On success `*length` is the length of the message. Nothing is written beyond it.
 *
 * Handles. Make them with _new, free them with _free. There is no other state: handles do not know of each other. A handle may
 * go from thread to thread, and is used by one at a time; of two calls at once, one is WARDEIN_ERR_BUSY, and so is a call from
 * within the save callback. Different handles may be used at once. After fork(), only one of the processes may go on using a
 * handle: two would be a clone.
 *
 * Bounds. No input is longer than 17 MiB, and no call keeps more than a few times its input in memory. Calls without a deadline
 * wait for nothing but the save callback. Where the system has no memory left, the process ends (abort).
 *
 * Failures. Each call answers a wardein_status; _error gives the words of the last failure of a handle. No words hold a secret.
 * A panic within the library is caught and becomes WARDEIN_ERR_PANIC.
 *
 * Messages. "Kind" is the number of a message in DDKG-1, section 11, whose bytes the messages are.
 */

#ifndef WARDEIN_H
#define WARDEIN_H

#include <stddef.h>
#include <stdint.h>

// The version of this interface, which is the number in the library's soname. It rises when a program that was compiled with an
// earlier header would break; functions and numbers may be added without that.
#define WARDEIN_ABI 1

// The most bytes of a device's state.
#define WARDEIN_MAX_STATE 5120

// For `wardein_device_get`: the generation that the device's keys are of.
#define WARDEIN_GENERATION 1

// The suite of the generation, 1 or 2.
#define WARDEIN_SUITE 2

// How often the state was saved; what a counter in hardware should be at.
#define WARDEIN_WRITES 3

// The last time that the authority gave and proved, in Unix seconds.
#define WARDEIN_KNOWN_TIME 4

// The last epoch in which a proof was acknowledged.
#define WARDEIN_EPOCH 5

// When the generation was agreed on, in Unix seconds: what a device reckons from that rekeys by a schedule of its own.
#define WARDEIN_AGREED_AT 6

// Keys that prove requests; every device keeps them, whether it is given or not.
#define WARDEIN_PURPOSE_PROOF 1

// Keys that log in to a platform.
#define WARDEIN_PURPOSE_TOKEN 2

// Keys that seal payloads.
#define WARDEIN_PURPOSE_DATA 4

// Keys of files.
#define WARDEIN_PURPOSE_FILE 8

// What a call did. A number never gets another meaning; later releases add some, so treat one that you do not know as a failure.
enum wardein_status
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // It is done.
  WARDEIN_OK = 0,
  // An argument is null, too short, too long, malformed, out of range, or overlaps another. Nothing was done.
  WARDEIN_ERR_ARGUMENT = 1,
  // A buffer is too small. Nothing was done, and `*length` is the capacity that suffices.
  WARDEIN_ERR_BUFFER = 2,
  // The call does not fit the ones before it, such as a proof without a challenge that was asked for. Nothing was done.
  WARDEIN_ERR_ORDER = 3,
  // Another call on the same handle is not over yet. Nothing was done.
  WARDEIN_ERR_BUSY = 4,
  // A fault of this library. The handle takes no more calls: free it, and go on with the state that was saved last.
  WARDEIN_ERR_PANIC = 5,
  // The source of randomness, a thread or a key of the device failed.
  WARDEIN_ERR_FAULT = 6,
  // The state could not be saved, so there is no message. Call again: the state is saved before the next message.
  WARDEIN_ERR_SAVE = 7,
  // The bytes are not a message or a state of their kind.
  WARDEIN_ERR_MALFORMED = 8,
  // The message is not the authority's, or not for this request, and is not believed. Start over.
  WARDEIN_ERR_UNAUTHENTIC = 9,
  // The message answers an earlier request than the last. Ask again.
  WARDEIN_ERR_OVERTAKEN = 10,
  // An attribute that the authority asks for was not measured.
  WARDEIN_ERR_NOT_MEASURED = 11,
  // The device keeps no keys for this purpose.
  WARDEIN_ERR_NOT_KEPT = 12,
  // No key is left for this purpose. Rekey.
  WARDEIN_ERR_EXHAUSTED = 13,
  // The authority has not acknowledged a proof of this generation yet. Prove a request first.
  WARDEIN_ERR_PROVE_FIRST = 14,
  // The key of the payload is another device's or another generation's, or is erased.
  WARDEIN_ERR_KEY_GONE = 15,
  // The payload was changed, or its additional data is not what it was sealed with.
  WARDEIN_ERR_OPEN = 16,
  // The state is older than the counter allows: an old image was restored.
  WARDEIN_ERR_ROLLED_BACK = 17,
  // The authority refuses. `wardein_session_refusal` has its code.
  WARDEIN_ERR_REFUSED = 18,
  // The authority cannot be reached.
  WARDEIN_ERR_UNREACHABLE = 19,
  // The deadline passed. What was asked may have been done or not; asking again is safe.
  WARDEIN_ERR_DEADLINE = 20,
  // A file of the state directory cannot be read or written, is damaged, or is open to others.
  WARDEIN_ERR_DIRECTORY = 21,
  // Another process is at work in the state directory.
  WARDEIN_ERR_LOCKED = 22,
  // A setting in device.toml is wrong, or not for this call.
  WARDEIN_ERR_SETTING = 23,
  // The device is not enrolled.
  WARDEIN_ERR_NOT_ENROLLED = 24,
  // The device signs with the key of a TPM (`signs_with` in device.toml): it derives no keys, and this library signs nothing. Nothing
  // was asked of the authority. `wardein-device` works in such a directory.
  WARDEIN_ERR_SIGNS = 25,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wardein_status wardein_status;
#else
typedef int32_t wardein_status;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// What a device does about a refusal (DDKG-1, section 13).
enum wardein_advice
#if defined(__cplusplus) || __STDC_VERSION__ >= 202311L
  : int32_t
#endif // defined(__cplusplus) || __STDC_VERSION__ >= 202311L
 {
  // The code is of a later release: go by the transport's status, as section 13 says.
  WARDEIN_ADVICE_NONE = 0,
  // Ask for a challenge and prove the request again, at once, at most six times in a row.
  WARDEIN_ADVICE_ASK_AGAIN = 1,
  // The same; the next proof takes the epoch that was named.
  WARDEIN_ADVICE_TAKE_EPOCH = 2,
  // Send the confirmation of the enrollment, then the request again.
  WARDEIN_ADVICE_CONFIRM = 3,
  // Rekey, then send the request again.
  WARDEIN_ADVICE_REKEY = 4,
  // Rekey with suite 2, never with a lower one.
  WARDEIN_ADVICE_TAKE_SUITE = 5,
  // Send the same again after a pause that doubles, or that the refusal names.
  WARDEIN_ADVICE_WAIT = 6,
  // Report it, and try again in a pause that doubles up to an hour: an administrator, or time, must change something first.
  WARDEIN_ADVICE_SEEK_HELP = 7,
  // Report it, and ask for nothing more but once a day: the decision is final.
  WARDEIN_ADVICE_STOP = 8,
  // Report it: the request is wrong, and the same one never succeeds.
  WARDEIN_ADVICE_MEND = 9,
};
#ifndef __cplusplus
#if __STDC_VERSION__ >= 202311L
typedef enum wardein_advice wardein_advice;
#else
typedef int32_t wardein_advice;
#endif // __STDC_VERSION__ >= 202311L
#endif // __cplusplus

// A device, enrolled or about to be: DDKG-1 in bytes, over whatever transport the caller has.
typedef struct wardein_device wardein_device;

// The device of a state directory, as `wardein-device` uses it. Functions on it are in a library with the feature `transport`,
// which is the default. Beside one, `wardein-device` may work in the same directory: each takes its turn.
//
// A device whose TPM signs (`signs_with` in device.toml) gets `WARDEIN_ERR_SIGNS` from every call but that for the stored
// certificate: most of what a session does needs derived keys, which it does not have.
typedef struct wardein_session wardein_session;

// Saves a state: returns 0 only once the `length` bytes at `state` are durable and whole, for instance written beside, synced
// and renamed. Any other value fails the call that it was called in. The bytes are secret, and gone when it returns. It must
// not free the handle, and is not left by an exception or longjmp.
typedef int (*wardein_save)(void *context, const uint8_t *state, size_t length);

// A measured attribute: a name of 1 to 64 graphic ASCII characters, and a value of at most 4096 bytes.
typedef struct {
  // The name, such as `firmware`; it needs no zero at its end.
  const char *name;
  // Bytes of the name.
  size_t name_length;
  // The value.
  const uint8_t *value;
  // Bytes of the value.
  size_t value_length;
} wardein_attribute;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

// The `WARDEIN_ABI` that the library was built with.
uint32_t wardein_abi(void);

// The library's release, such as "0.2.0". It lives for ever.
const char *wardein_version(void);

// A status in a few words. They live for ever, and are never NULL.
const char *wardein_status_text(int32_t status);

// Makes a handle, for one device that is restored or enrolled next. Each time that a message may leave only once the state is
// durable, the call that makes the message calls `save(context, state, length)` first, and gives the message only if that
// returned 0.
wardein_status wardein_device_new(wardein_save save,
                                  void *context,
                                  wardein_device **device);

// Frees a handle and wipes its secrets; NULL is fine. The state that was saved last is what is left of the device.
void wardein_device_free(wardein_device *device);

// Why the last call on the handle failed, with a zero at the end, cut where `capacity` is too small; empty after one that
// succeeded. `*length` is the length of all of it, without the zero. It holds nothing secret.
wardein_status wardein_device_error(const wardein_device *device,
                                    char *out,
                                    size_t capacity,
                                    size_t *length);

// Puts the state that was saved last into a new handle, after a restart. `floor` is the value of a counter in hardware that
// the device raises by one each time that it saves, or 0 without one: a state from before is refused as
// `WARDEIN_ERR_ROLLED_BACK`. One state in two handles, or in two places, is a clone, and the authority will notice.
wardein_status wardein_device_restore(wardein_device *device,
                                      const uint8_t *state,
                                      size_t state_length,
                                      uint64_t floor);

// One of the numbers above, of an enrolled device.
wardein_status wardein_device_get(wardein_device *device, uint32_t what, uint64_t *value);

// Begins an enrollment, and gives the request (kind 1) for the station to relay. `identity_key` is the authority's, pinned in
// the firmware: an uncompressed point of P-256, 65 bytes. `suite` is 1, or 2 for P-256 with ML-KEM-768. Nothing is saved yet;
// beginning again forgets the request before.
wardein_status wardein_enroll_begin(wardein_device *device,
                                    const uint8_t *identity_key,
                                    size_t identity_key_length,
                                    uint32_t suite,
                                    const char *tenant,
                                    size_t tenant_length,
                                    const char *device_id,
                                    size_t device_id_length,
                                    const wardein_attribute *attributes,
                                    size_t attribute_count,
                                    uint8_t *request,
                                    size_t request_capacity,
                                    size_t *request_length);

// Checks the authority's reply (kind 2), saves the new state, and gives the confirmation (kind 3) to send. `purposes` is a sum
// of `WARDEIN_PURPOSE_…`. After `WARDEIN_ERR_UNAUTHENTIC` the enrollment begins again; after `WARDEIN_ERR_SAVE`
// `wardein_confirm` goes on.
wardein_status wardein_enroll_finish(wardein_device *device,
                                     const uint8_t *reply,
                                     size_t reply_length,
                                     uint32_t purposes,
                                     uint8_t *confirmation,
                                     size_t confirmation_capacity,
                                     size_t *confirmation_length);

// The confirmation (kind 3) once more: until a proof is acknowledged, for as often as it is needed, and whenever the authority
// says `enrollment-pending`. From then on it is `WARDEIN_ERR_ORDER`.
wardein_status wardein_confirm(wardein_device *device,
                               uint8_t *confirmation,
                               size_t confirmation_capacity,
                               size_t *confirmation_length);

// Call it right before each request for a challenge: only the challenge that comes in reply to that request may be answered,
// and only once.
wardein_status wardein_ask(wardein_device *device);

// Whether a challenge (kind 4) asks for the attribute `name`: `*asks` is 1 or 0. A device may also measure all that it has
// each time.
wardein_status wardein_challenge_asks(const uint8_t *challenge,
                                      size_t challenge_length,
                                      const char *name,
                                      size_t name_length,
                                      uint8_t *asks);

// Proves that this device asks for `action` with `body`, and gives the proof (kind 5); `body` travels beside it. `challenge`
// (kind 4) came in reply to the request before which `wardein_ask` was called; `attributes` are measured now, those that it
// asks for at least. For `rekey` there is `wardein_rekey`. After every error but `WARDEIN_ERR_ARGUMENT`, `_BUFFER` and
// `_MALFORMED`, ask for a challenge again.
wardein_status wardein_prove(wardein_device *device,
                             const uint8_t *challenge,
                             size_t challenge_length,
                             const wardein_attribute *attributes,
                             size_t attribute_count,
                             const char *action,
                             size_t action_length,
                             const uint8_t *body,
                             size_t body_length,
                             uint8_t *proof,
                             size_t proof_capacity,
                             size_t *proof_length);

// Asks for new keys of `suite`, and gives the proof (kind 5) of the action `rekey` with the body to send beside it. All else
// is as with `wardein_prove`. Once `wardein_acknowledge` has taken the reply, the new keys are saved and the former ones gone.
wardein_status wardein_rekey(wardein_device *device,
                             const uint8_t *challenge,
                             size_t challenge_length,
                             const wardein_attribute *attributes,
                             size_t attribute_count,
                             uint32_t suite,
                             uint8_t *proof,
                             size_t proof_capacity,
                             size_t *proof_length,
                             uint8_t *body,
                             size_t body_capacity,
                             size_t *body_length);

// Checks the reply (kind 6) to the last proof, adopts what it brings, saves where that must be saved, and gives the reply's
// body, at most 1 MiB. After `WARDEIN_ERR_UNAUTHENTIC` nothing was adopted: ask again.
wardein_status wardein_acknowledge(wardein_device *device,
                                   const uint8_t *reply,
                                   size_t reply_length,
                                   uint8_t *body,
                                   size_t body_capacity,
                                   size_t *body_length);

// Tells the device that its last proof was refused: `code` is the authority's, such as `epoch-spent`, and `epoch` the number
// that came with it (`wardein-next-epoch` or `wardein-highest-epoch`), or 0. `*advice` is what to do now, a
// `WARDEIN_ADVICE_…`. Nothing authenticates a refusal, so it changes nothing that lasts.
wardein_status wardein_refused(wardein_device *device,
                               const char *code,
                               size_t code_length,
                               uint32_t epoch,
                               int32_t *advice);

// A token (kind 7) for logging in to the platform `audience` once, with the nonce that it gave, at most 64 bytes, or none.
// `elapsed` is how many seconds a monotonic clock has counted since the last reply was acknowledged, or since the restart
// where that was later.
wardein_status wardein_token(wardein_device *device,
                             uint64_t elapsed,
                             const char *audience,
                             size_t audience_length,
                             const uint8_t *nonce,
                             size_t nonce_length,
                             uint8_t *token,
                             size_t token_capacity,
                             size_t *token_length);

// Seals `plaintext`, at most 16 MiB, for the authority to open (kind 8); `additional`, at most 16 MiB, is bound to it and
// travels by other ways. `elapsed` is as with `wardein_token`; `wall_clock` is the time in Unix seconds by the device's own
// clock, or 0 without one. The capacity that suffices depends on the plaintext's length alone; the message may be shorter.
wardein_status wardein_seal(wardein_device *device,
                            uint64_t elapsed,
                            uint64_t wall_clock,
                            const uint8_t *additional,
                            size_t additional_length,
                            const uint8_t *plaintext,
                            size_t plaintext_length,
                            uint8_t *sealed,
                            size_t sealed_capacity,
                            size_t *sealed_length);

// Opens a payload (kind 8) that this device sealed, for as long as its key is not erased.
wardein_status wardein_open(wardein_device *device,
                            const uint8_t *additional,
                            size_t additional_length,
                            const uint8_t *sealed,
                            size_t sealed_length,
                            uint8_t *plaintext,
                            size_t plaintext_capacity,
                            size_t *plaintext_length);

// Makes a handle for the state directory at `path`, which the first call opens.
wardein_status wardein_session_new(const char *path, size_t path_length, wardein_session **session);

// Frees a handle and wipes its secrets; NULL is fine. Where a name is being looked up, that is waited for, at most a second.
void wardein_session_free(wardein_session *session);

// As `wardein_device_error`.
wardein_status wardein_session_error(const wardein_session *session, char *out, size_t capacity, size_t *length);

// After `WARDEIN_ERR_REFUSED`: the authority's code, such as `suspended`, with a zero at its end, cut where `capacity` is too
// small, and what to do about it, a `WARDEIN_ADVICE_…`.
wardein_status wardein_session_refusal(wardein_session *session,
                                       char *code,
                                       size_t capacity,
                                       size_t *length,
                                       int32_t *advice);

// Shows the authority that the device is there; `*server_time` is the authority's time in Unix seconds. `deadline_ms`, here
// and in all calls that have one, is the most time that the call waits for others, 1 to 600,000 ms; what it reads and writes
// on disk comes on top.
wardein_status wardein_session_authenticate(wardein_session *session,
                                            uint32_t deadline_ms,
                                            uint64_t *server_time);

// Gets a new certificate and stores it, as `certificate.pem`, for the device's own key, or with one that the authority makes, where
// device.toml says so; `*not_after` is the last second of its
// validity in Unix seconds. The key is in `device.key`.
wardein_status wardein_session_certify(wardein_session *session,
                                       uint32_t deadline_ms,
                                       uint64_t *not_after);

// The certificates that are stored, PEM, leaf first. It asks nobody.
wardein_status wardein_session_certificate(wardein_session *session,
                                           uint8_t *pem,
                                           size_t pem_capacity,
                                           size_t *pem_length);

// The certificates that the authority vouches for now, PEM: the roots, then the issuing CAs. The reply is proved by the device's
// own keys. Where the buffer is too small the authority was asked all the same.
wardein_status wardein_session_trust_bundle(wardein_session *session,
                                            uint32_t deadline_ms,
                                            uint8_t *pem,
                                            size_t pem_capacity,
                                            size_t *pem_length);

// Asks for the pins of the platform's keys, signed by the authority, and stores them; `*held` is 1 where there are some now, and 0 where the
// authority has none and none are stored.
wardein_status wardein_session_pins(wardein_session *session,
                                    uint32_t deadline_ms,
                                    uint8_t *held);

// Whether a server that shows this certificate, DER, of at most 8192 bytes, is the platform, by the pins that are stored: `*is` is 1 or 0. It
// is for each delivery, over the program's own TLS 1.3, which must have verified that the server has the certificate's key, and resumes
// no session; who certified it does not matter. Where it is 0, nothing may be sent. It asks nobody. `WARDEIN_ERR_ORDER`: there are no pins.
wardein_status wardein_session_is_platform(wardein_session *session,
                                           const uint8_t *certificate,
                                           size_t certificate_length,
                                           uint8_t *is);

// A token (kind 7) for logging in to the platform `audience` once, with the nonce that it gave, at most 64 bytes, or none. The
// authority is asked for the time first, where this handle has not asked it anything yet.
wardein_status wardein_session_token(wardein_session *session,
                                     uint32_t deadline_ms,
                                     const char *audience,
                                     size_t audience_length,
                                     const uint8_t *nonce,
                                     size_t nonce_length,
                                     uint8_t *token,
                                     size_t token_capacity,
                                     size_t *token_length);

// As `wardein_seal`. It asks nobody; the deadline is for others at work in the directory.
wardein_status wardein_session_seal(wardein_session *session,
                                    uint32_t deadline_ms,
                                    const uint8_t *additional,
                                    size_t additional_length,
                                    const uint8_t *plaintext,
                                    size_t plaintext_length,
                                    uint8_t *sealed,
                                    size_t sealed_capacity,
                                    size_t *sealed_length);

// Agrees on new keys with the authority and goes over to them; `*generation` is that of the new ones.
wardein_status wardein_session_rekey(wardein_session *session, uint32_t deadline_ms, uint64_t *generation);

// Whether the keys are due to be agreed on again, by the device's own schedule or because the authority's last reply said so:
// `*due` is 1 or 0.
wardein_status wardein_session_rekey_due(wardein_session *session,
                                         uint32_t deadline_ms,
                                         uint8_t *due);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* WARDEIN_H */
