-- Asks Wardein whether to trust the device whose certificate HAProxy has verified. If so, txn.wardein_device has its name; in every other case,
-- a fault included, that variable is not set. deploy/integrations/haproxy.cfg goes with it.

local socket = "unix@@HOUSE@/wardein.sock"

-- A certificate as the hook `request` takes it: PEM, percent-encoded.
local function escaped(txn, der)
	local base64 = txn.c:base64(der):gsub(("."):rep(64), "%0\n")
	local pem = "-----BEGIN CERTIFICATE-----\n" .. base64 .. "\n-----END CERTIFICATE-----\n"
	return (pem:gsub("[^%w]", function(c) return ("%%%02X"):format(c:byte()) end))
end

core.register_action("wardein", { "http-req" }, function(txn)
	local der = txn.f:ssl_c_der()
	if not der or der == "" then return end
	local answer = core.httpclient():get({
		url = "http://localhost/hooks/request",
		dst = socket,
		headers = { ["x-client-cert"] = { escaped(txn, der) } },
		timeout = 2000,
	})
	local device = answer and answer.status == 200 and answer.headers["wardein-device"]
	if device then txn:set_var("txn.wardein_device", device[0]) end
end)
