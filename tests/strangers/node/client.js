// A client in JavaScript: @grpc/grpc-js, which reads proto/ as it starts. It shares no line with Wardein. Every check asserts; the first
// that does not hold ends the run.
//
// node client.js PROTO HOST:PORT ROOTS ADMIN_CERTIFICATE ADMIN_KEY PLATFORM_CERTIFICATE PLATFORM_KEY

'use strict'

const assert = require('node:assert/strict')
const fs = require('node:fs')
const path = require('node:path')
const grpc = require('@grpc/grpc-js')
const loader = require('@grpc/proto-loader')
const protobuf = require('protobufjs')

const [proto, endpoint, ...files] = process.argv.slice(2)
const [roots, adminCertificate, adminKey, platformCertificate, platformKey] = files.map((file) => fs.readFileSync(file))

const names = ['admin', 'invitation', 'trust'].map((name) => `wardein/v1/${name}.proto`)
const options = { includeDirs: [proto], keepCase: true, longs: String, enums: String, defaults: true }
const v1 = grpc.loadPackageDefinition(loader.loadSync(names, options)).wardein.v1

// The types of refusals' details, which are Google's.
const common = path.dirname(require.resolve('google-proto-files/package.json'))
const google = new protobuf.Root()
google.resolvePath = (_, name) => (name.startsWith('google/protobuf/') ? name : path.join(common, name))
google.loadSync(['google/rpc/status.proto', 'google/rpc/error_details.proto'])

const admin = grpc.credentials.createSsl(roots, adminKey, adminCertificate)
const platform = grpc.credentials.createSsl(roots, platformKey, platformCertificate)
const nobody = grpc.credentials.createSsl(roots)

// An answer, or the error of the call.
const ask = (service, credentials, method, request) =>
  new Promise((resolve) => {
    const stub = new v1[service](endpoint, credentials)
    stub[method](request, { deadline: Date.now() + 20_000 }, (error, answer) => {
      stub.close()
      resolve(error ?? answer)
    })
  })

const refused = (error, code, reason) => {
  assert.ok(error instanceof Error, `it was not refused: ${JSON.stringify(error)}`)
  assert.equal(grpc.status[error.code], code, error.message)
  const [bytes] = error.metadata.get('grpc-status-details-bin')
  const status = google.lookupType('google.rpc.Status').decode(bytes)
  assert.equal(status.code, error.code)
  assert.equal(status.message, error.details)
  const details = {}
  for (const { type_url: url, value } of status.details) {
    const type = url.split('/').pop()
    details[type] = google.lookupType(type).decode(value).toJSON()
  }
  const info = details['google.rpc.ErrorInfo']
  assert.deepEqual([info.reason, info.domain], [reason, 'wardein'])
  assert.equal(error.metadata.get('wardein-code')[0], reason.toLowerCase().replaceAll('_', '-'))
  return details
}

const main = async () => {
  const status = await ask('AdminService', admin, 'GetStatus', {})
  assert.equal(status.trust_domain, 'strangers.example')
  console.log(`node: GetStatus with mutual TLS: version ${status.version}`)

  const tenants = []
  for (let page_token = Buffer.alloc(0), pages = 0; pages === 0 || page_token.length > 0; pages++) {
    const page = await ask('AdminService', admin, 'ListTenants', { page_size: 1, page_token })
    tenants.push(...page.tenants.map(({ tenant }) => tenant))
    page_token = page.next_page_token
  }
  assert.deepEqual(tenants, ['klinik', 'praxis'])
  console.log(`node: ListTenants by pages of one: ${tenants.join(', ')}`)

  const order = { role: 'ROLE_PLATFORM', tenant: 'klinik', name: 'by-node', validity: { seconds: 86_400 }, lifetime: { seconds: 600 } }
  const made = await ask('InvitationService', admin, 'CreateInvitation', order)
  assert.equal(made.token.length, 40)
  const open = async () => (await ask('InvitationService', admin, 'ListInvitations', { tenant: 'klinik' })).invitations
  assert.deepEqual((await open()).map(({ id, name, role }) => [id, name, role]), [[made.id, 'by-node', 'ROLE_PLATFORM']])
  await ask('InvitationService', admin, 'RevokeInvitation', { id: made.id, reason: 'a test' })
  assert.deepEqual(await open(), [])
  console.log('node: an invitation made, listed and taken back')

  const check = await ask('TrustService', platform, 'Check', { device_id: 'pump-1' })
  assert.equal(check.verdict, 'VERDICT_UNKNOWN', JSON.stringify(check))
  console.log(`node: Check as a platform: ${check.verdict}`)

  let details = refused(await ask('AdminService', admin, 'GetDevice', { tenant: 'klinik', device_id: 'x' }), 'NOT_FOUND', 'DEVICE_UNKNOWN')
  console.log(`node: a refusal's details: ${Object.keys(details).join(', ')}`)
  details = refused(await ask('AdminService', admin, 'CreateTenant', { tenant: 'No Name' }), 'INVALID_ARGUMENT', 'MALFORMED')
  assert.equal(details['google.rpc.BadRequest'].fieldViolations[0].field, 'tenant')
  console.log(`node: a wrong field is named: ${JSON.stringify(details['google.rpc.BadRequest'].fieldViolations)}`)
  refused(await ask('AdminService', platform, 'ListTenants', {}), 'PERMISSION_DENIED', 'ROLE_DENIED')
  const none = await ask('AdminService', nobody, 'GetStatus', {})
  assert.ok(none instanceof Error && none.code === grpc.status.UNAUTHENTICATED, String(none))
  console.log('node: the wrong role and no certificate are refused')
}

main().catch((error) => {
  console.error(error)
  process.exitCode = 1
})
