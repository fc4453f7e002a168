-- SPDX-License-Identifier: GPL-2.0-or-later
--
-- Wireshark's view of dsaad's sync protocol in plain text ('sync insecure'), as sync.rst specifies it; the numbers below are its.
--
--	wireshark -X lua_script:dsaa.lua        tshark -X lua_script:dsaa.lua -r FILE -Y dsaa
--
-- Port 3785; for another one: "Decode As". Not as root: since 4.4 Wireshark reads no scripts then, and says nothing.
-- Tested by tests/pair/dissector_test.py.

local dsaa = Proto("dsaa", "dsaad sync")

local HEADER = 8
local MAGIC = 0xd5aa

local TYPES = {
	[1] = "HELLO",
	[2] = "REFUSE",
	[3] = "KEEPALIVE",
	[4] = "FLOWS",
	[5] = "ACK",
	[6] = "BULK_BEGIN",
	[7] = "BULK_FLOWS",
	[8] = "BULK_END",
	[9] = "BULK_DONE",
	[10] = "BULK_REQUEST",
	[11] = "GOODBYE",
	[12] = "AUDIT_BEGIN",
	[13] = "AUDIT_HASHES",
	[14] = "AUDIT_END",
	[15] = "AUDIT_WANT",
	[16] = "AUDIT_FLOWS",
	[17] = "RESUME",
	[128] = "HANDOVER",
	[129] = "EXPECTS",
	[130] = "AUDIT_STATES",
	[131] = "LINES",
	[132] = "AUDIT_BUSY",
}

local OPERATIONS = { [1] = "UPSERT", [2] = "DELETE" }

local ATTRIBUTES = {
	[1] = "TCP",
	[2] = "SCTP",
	[3] = "DCCP",
	[128] = "helper",
	[129] = "sequence adjustment",
	[130] = "labels",
	[131] = "master",
	[132] = "reply zone",
}

local f = dsaa.fields

-- 2.1 header
f.type = ProtoField.uint8("dsaa.type", "Type", base.DEC, TYPES)
f.flags = ProtoField.uint8("dsaa.flags", "Flags", base.HEX)
f.length = ProtoField.uint32("dsaa.length", "Length of the body")
-- 2.3 HELLO
f.major = ProtoField.uint8("dsaa.major", "Major version")
f.minor = ProtoField.uint8("dsaa.minor", "Minor version")
f.from = ProtoField.uint8("dsaa.from", "Sender's site")
f.to = ProtoField.uint8("dsaa.to", "Receiver's site")
f.cluster = ProtoField.uint32("dsaa.cluster", "Cluster-id")
f.capabilities = ProtoField.uint64("dsaa.capabilities", "Capabilities", base.HEX)
f.epoch = ProtoField.uint64("dsaa.epoch", "Epoch")
f.digest = ProtoField.uint64("dsaa.digest", "Digest", base.HEX)
f.hold_time = ProtoField.uint32("dsaa.hold_time", "Hold time, ms")
f.known_epoch = ProtoField.uint64("dsaa.known_epoch", "Known epoch")
f.known_seq = ProtoField.uint64("dsaa.known_seq", "Known sequence number")
-- 2.4 to 2.9
f.reason = ProtoField.uint16("dsaa.reason", "Reason")
f.complete = ProtoField.bool("dsaa.complete", "State is complete")
f.draining = ProtoField.bool("dsaa.draining", "Draining")
f.seq = ProtoField.uint64("dsaa.seq", "Sequence number")
f.applied = ProtoField.uint64("dsaa.applied", "Records applied")
f.rejected = ProtoField.uint64("dsaa.rejected", "Records rejected")
f.id = ProtoField.uint32("dsaa.id", "Number of the bulk or audit")
f.count = ProtoField.uint64("dsaa.count", "Count")
f.resume_from = ProtoField.uint64("dsaa.resume_from", "From")
f.resume_to = ProtoField.uint64("dsaa.resume_to", "To")
-- 2.11 EXPECTS
f.reset = ProtoField.uint8("dsaa.reset", "Reset")
f.expects = ProtoField.uint16("dsaa.expects", "Expectations")
f.expect_records = ProtoField.bytes("dsaa.expect_records", "Records")
-- 2.12 LINES
f.lines_kind = ProtoField.uint8("dsaa.lines_kind", "Kind", base.DEC, { [1] = "dsaa block", [2] = "forward policy" })
f.lines_cut = ProtoField.bool("dsaa.lines_cut", "There are more")
f.lines_text = ProtoField.string("dsaa.lines_text", "Lines")
-- 2.10 HANDOVER
f.handover = ProtoField.uint64("dsaa.handover", "Connections")
f.hash = ProtoField.uint64("dsaa.hash", "Key hash", base.HEX)
f.state = ProtoField.uint32("dsaa.state", "Digest of the state", base.HEX)
-- 3 records
f.record = ProtoField.none("dsaa.record", "Record")
f.tuple = ProtoField.none("dsaa.tuple", "Tuple")
f.attribute = ProtoField.none("dsaa.attribute", "Attribute")
f.op = ProtoField.uint8("dsaa.record.op", "Operation", base.DEC, OPERATIONS)
f.family = ProtoField.uint8("dsaa.record.family", "Family", base.DEC, nil, 0x0f)
f.no_nat = ProtoField.bool("dsaa.record.no_nat", "No NAT", 8, nil, 0x10)
f.proto = ProtoField.uint8("dsaa.record.proto", "Protocol")
f.zone = ProtoField.uint16("dsaa.record.zone", "Zone")
f.record_seq = ProtoField.uint64("dsaa.record.seq", "Sequence number")
f.src4 = ProtoField.ipv4("dsaa.record.src", "Source")
f.dst4 = ProtoField.ipv4("dsaa.record.dst", "Destination")
f.src6 = ProtoField.ipv6("dsaa.record.src6", "Source")
f.dst6 = ProtoField.ipv6("dsaa.record.dst6", "Destination")
f.sport = ProtoField.uint16("dsaa.record.sport", "Source port")
f.dport = ProtoField.uint16("dsaa.record.dport", "Destination port")
f.status = ProtoField.uint32("dsaa.record.status", "Status", base.HEX)
f.mark = ProtoField.uint32("dsaa.record.mark", "Mark", base.HEX)
f.timeout = ProtoField.uint32("dsaa.record.timeout", "Timeout, s")
f.start = ProtoField.uint64("dsaa.record.start", "Began, ns")
f.attr = ProtoField.uint8("dsaa.attr.type", "Attribute", base.DEC, ATTRIBUTES)
f.attr_value = ProtoField.bytes("dsaa.attr.value", "Value")
f.tcp_state = ProtoField.uint8("dsaa.attr.tcp_state", "TCP state")
f.tcp_scale = ProtoField.uint8("dsaa.attr.tcp_scale", "Window scale")
f.tcp_flags = ProtoField.uint8("dsaa.attr.tcp_flags", "TCP flags", base.HEX)
f.helper = ProtoField.string("dsaa.attr.helper", "Helper")

local malformed = ProtoExpert.new("dsaa.malformed", "Not a message of this protocol", expert.group.MALFORMED, expert.severity.ERROR)
dsaa.experts = { malformed }

-- A reader over one message: each call adds a field and goes on behind it.
local function reader(tvb, at)
	local r = { tvb = tvb, at = at }
	function r.add(tree, field, length)
		local item = tree:add(field, tvb(r.at, length))
		r.at = r.at + length
		return item
	end
	function r.peek(length)
		return tvb(r.at, length)
	end
	return r
end

local function tuple(r, tree, family, text)
	local length = family == 4 and 4 or 16
	local t = tree:add(f.tuple, r.peek(2 * length + 4))
	t:set_text(text)
	r.add(t, family == 4 and f.src4 or f.src6, length)
	r.add(t, family == 4 and f.dst4 or f.dst6, length)
	r.add(t, f.sport, 2)
	r.add(t, f.dport, 2)
end

-- 3.4
local function attribute(r, tree)
	local kind, length = r.peek(1):uint(), r.tvb(r.at + 1, 1):uint()
	local t = tree:add(f.attribute, r.peek(2 + length))
	t:set_text("Attribute " .. (ATTRIBUTES[kind] or kind))
	r.add(t, f.attr, 1)
	r.at = r.at + 1
	if kind == 1 and length == 5 then
		r.add(t, f.tcp_state, 1)
		r.add(t, f.tcp_scale, 1)
		r.add(t, f.tcp_scale, 1)
		r.add(t, f.tcp_flags, 1)
		r.add(t, f.tcp_flags, 1)
	elseif kind == 128 then
		r.add(t, f.helper, length)
	elseif length > 0 then
		r.add(t, f.attr_value, length)
	end
end

-- 3.1 to 3.3
local function record(r, tree)
	local length = r.peek(2):uint()
	local t = tree:add(f.record, r.peek(2 + length))
	local stop = r.at + 2 + length
	r.at = r.at + 2
	local op, flags = r.peek(1):uint(), r.tvb(r.at + 1, 1):uint()
	local family = flags % 16
	t:append_text(": " .. (OPERATIONS[op] or op))
	r.add(t, f.op, 1)
	t:add(f.family, r.peek(1))
	r.add(t, f.no_nat, 1)
	r.add(t, f.proto, 1)
	r.add(t, f.zone, 2)
	r.add(t, f.record_seq, 8)
	tuple(r, t, family, "Original")
	if op == 1 then
		if flags < 16 then
			tuple(r, t, family, "Reply")
		end
		r.add(t, f.status, 4)
		r.add(t, f.mark, 4)
		r.add(t, f.timeout, 4)
		r.add(t, f.start, 8)
	end
	while r.at < stop do
		attribute(r, t)
	end
end

local function records(r, tree)
	local count = r.peek(2):uint()
	r.add(tree, f.count, 2)
	for _ = 1, count do
		record(r, tree)
	end
end

local function hashes(r, tree, with_state)
	local count = r.peek(2):uint()
	r.add(tree, f.count, 2)
	for _ = 1, count do
		r.add(tree, f.hash, 8)
		if with_state then
			r.add(tree, f.state, 4)
		end
	end
end

local BODY = {}

BODY[1] = function(r, tree)
	local major = r.peek(1):uint()
	r.add(tree, f.major, 1)
	r.add(tree, f.minor, 1)
	if major ~= 1 then
		return
	end
	r.add(tree, f.from, 1)
	r.add(tree, f.to, 1)
	r.add(tree, f.cluster, 4)
	r.add(tree, f.capabilities, 8)
	r.add(tree, f.epoch, 8)
	r.add(tree, f.digest, 8)
	r.add(tree, f.hold_time, 4)
	r.add(tree, f.known_epoch, 8)
	r.add(tree, f.known_seq, 8)
end
BODY[2] = function(r, tree) r.add(tree, f.reason, 2) end
BODY[11] = BODY[2]
BODY[3] = function(r, tree)
	r.add(tree, f.complete, 1)
	r.add(tree, f.draining, 1)
end
BODY[4] = function(r, tree)
	r.add(tree, f.epoch, 8)
	records(r, tree)
end
BODY[5] = function(r, tree)
	r.add(tree, f.epoch, 8)
	r.add(tree, f.seq, 8)
	r.add(tree, f.applied, 8)
	r.add(tree, f.rejected, 8)
end
BODY[6] = function(r, tree) r.add(tree, f.id, 4) end
BODY[7] = function(r, tree)
	r.add(tree, f.epoch, 8)
	r.add(tree, f.id, 4)
	records(r, tree)
end
BODY[16] = BODY[7]
BODY[8] = function(r, tree)
	r.add(tree, f.id, 4)
	r.add(tree, f.count, 8)
	r.add(tree, f.digest, 8)
end
BODY[9] = function(r, tree)
	BODY[8](r, tree)
	r.add(tree, f.rejected, 8)
end
BODY[10] = function() end
BODY[12] = BODY[6]
BODY[14] = BODY[6]
BODY[132] = BODY[6]
BODY[13] = function(r, tree)
	r.add(tree, f.id, 4)
	hashes(r, tree, false)
end
BODY[15] = BODY[13]
BODY[130] = function(r, tree)
	r.add(tree, f.id, 4)
	hashes(r, tree, true)
end
BODY[17] = function(r, tree)
	r.add(tree, f.resume_from, 8)
	r.add(tree, f.resume_to, 8)
end

BODY[129] = function(r, tree)
	r.add(tree, f.epoch, 8)
	r.add(tree, f.reset, 1)
	r.add(tree, f.expects, 2)
	if r.at < r.tvb:len() then
		r.add(tree, f.expect_records, r.tvb:len() - r.at)
	end
end
BODY[131] = function(r, tree)
	r.add(tree, f.lines_kind, 1)
	r.add(tree, f.lines_cut, 1)
	r.add(tree, f.digest, 8)
	if r.at < r.tvb:len() then
		r.add(tree, f.lines_text, r.tvb:len() - r.at)
	end
end
BODY[128] = function(r, tree)
	r.add(tree, f.handover, 8)
end

local function message_length(tvb, _, offset)
	return HEADER + tvb(offset + 4, 4):uint()
end

local function message(tvb, pinfo, root)
	local kind = tvb(2, 1):uint()
	local tree = root:add(dsaa, tvb(), "dsaad sync, " .. (TYPES[kind] or "type " .. kind))
	local r = reader(tvb, 2)
	pinfo.cols.protocol = "dsaa"
	r.add(tree, f.type, 1)
	r.add(tree, f.flags, 1)
	r.add(tree, f.length, 4)
	pinfo.cols.info:append(" " .. (TYPES[kind] or kind))
	if tvb(0, 2):uint() ~= MAGIC then
		tree:add_proto_expert_info(malformed)
	elseif BODY[kind] then
		BODY[kind](r, tree)
		if r.at < tvb:len() and kind ~= 1 then
			tree:add_proto_expert_info(malformed)
		end
	elseif kind < 128 then
		tree:add_proto_expert_info(malformed)
	end
	return tvb:len()
end

function dsaa.dissector(tvb, pinfo, root)
	if tvb(0, 1):uint() ~= 0xd5 then
		return 0
	end
	pinfo.cols.info:clear()
	dissect_tcp_pdus(tvb, root, HEADER, message_length, message)
	return tvb:len()
end

DissectorTable.get("tcp.port"):add(3785, dsaa)
