import type { InspectedLogin, InspectedMembership } from '../postgres/postgres.contract.js';
import { mendable, reported, type Finding, type Given } from './drift-finding.js';

/** The role that owns the guard's functions: every membership it gives is in its name. */
const GUARD = 'usher_owner';

/** Memberships that somebody gave past the guard. */
export function memberships(login: InspectedLogin, { live, moving }: Given): Finding[] {
  const { login: name, leases } = login;
  const iam = [...live, ...moving, ...leases].some(({ method }) => method === 'iam');
  const given = new Set([...live, ...moving, ...leases].flatMap(({ groups }) => groups));
  if (iam) given.add('rds_iam');
  return login.memberships.flatMap((membership): Finding[] => {
    const { role, admin } = membership;
    if (isForeign(membership)) return [foreignGrantor(name, membership, given.has(role))];
    if (!given.has(role)) return [extraMembership(name, role)];
    return admin ? [adminOption(name, role)] : [];
  });
}

const extraMembership = (login: string, role: string): Finding =>
  mendable(
    { login },
    {
      kind: 'extra_membership',
      subject: `${login} ${role}`,
      message: `${login} is a member of ${role}, which no lease gives.`,
      remedy: 'The membership is taken back; up to PostgreSQL 15 the sessions of the login are ended too.',
    },
  );

const adminOption = (login: string, role: string): Finding =>
  reported(login, {
    kind: 'extra_membership',
    subject: `${login} ${role} ADMIN`,
    message: `${login} may hand its membership of ${role} on, which no lease gives.`,
    remedy: `The DBA takes that back: REVOKE ADMIN OPTION FOR ${quoted(role)} FROM ${quoted(login)}. It ends with the membership in any case.`,
  });

/** From 16 on a membership is kept by grantor, and nobody but the grantor takes it back; before, the last one counts. */
const isForeign = ({ grantor, set }: InspectedMembership): boolean => set !== null && grantor !== GUARD;

const foreignGrantor = (login: string, { role, grantor }: InspectedMembership, given: boolean): Finding =>
  reported(login, {
    kind: 'foreign_grantor',
    subject: `${login} ${role} ${grantor}`,
    message: given
      ? `${grantor} made ${login} a member of ${role} too: that membership stays when the lease ends.`
      : `${grantor} made ${login} a member of ${role}, which no lease gives.`,
    remedy: `Only ${grantor} can take it back: REVOKE ${quoted(role)} FROM ${quoted(login)}, as that role. Until then no grant of this login can be closed.`,
  });

/** Attributes, and what else ALTER ROLE changes. */
export function attributes(login: InspectedLogin, creatingRoles: ReadonlySet<string>): Finding[] {
  const { login: name, leases } = login;
  const creates = leases.some(({ profile }) => creatingRoles.has(profile));
  const gained = login.attributes.filter((attribute) => !(attribute === 'createrole' && creates));
  return [
    ...gained.map((attribute) => gainedAttribute(name, attribute)),
    ...connectionLimit(login),
    ...validUntil(login),
  ];
}

/** The guard's owner has CREATEROLE and nothing else: no other attribute is its to take away. */
function gainedAttribute(login: string, attribute: string): Finding {
  const words = {
    kind: 'attribute',
    subject: `${login} ${attribute}`,
    message: `${login} has gained the attribute ${attribute}.`,
  } as const;
  if (attribute === 'createrole') return mendable({ login }, { ...words, remedy: 'It is taken away.' });
  const without = attribute === 'super' ? 'NOSUPERUSER' : `NO${attribute.toUpperCase()}`;
  return reported(login, {
    ...words,
    remedy: `The DBA takes it away: ALTER ROLE ${quoted(login)} ${without}. Until then nothing is opened for this login.`,
  });
}

function connectionLimit(login: InspectedLogin): Finding[] {
  const { login: name, connectionLimit: actual, leases } = login;
  const agreed = Math.max(...leases.map((lease) => lease.connectionLimit));
  // a lower one is the DBA's to set, on the allow-list; -1 is PostgreSQL's word for none
  if (leases.length === 0 || actual === null || (actual >= 0 && actual <= agreed)) return [];
  const message = `${name} may have ${actual < 0 ? 'any number of' : actual} sessions; its leases give ${agreed}.`;
  return [
    mendable(
      { login: name },
      { kind: 'attribute', subject: `${name} connection limit`, message, remedy: 'The limit is set back.' },
    ),
  ];
}

/**
 * Nobody but a superuser sees whether a role has a password: pg_authid is closed to all others, pg_roles and pg_user show
 * stars for every role. What does show is VALID UNTIL, which most tools that set a password set as well, and which the
 * guard always sets to the end of the leases. A password that was set without it is not found here; it opens nothing while
 * rds_iam shuts passwords out, and goes with the lease.
 */
function validUntil(login: InspectedLogin): Finding[] {
  const { login: name, leases, validUntil: actual } = login;
  if (leases.length === 0 || !login.canLogin) return [];
  const end = Math.max(...leases.map(({ endsAt }) => endsAt.getTime()));
  if (actual?.getTime() === end) return [];
  const until = actual === null ? 'has no end' : `is ${actual.toISOString()}`;
  const iam = leases.every(({ method }) => method === 'iam');
  const finding = mendable(
    { login: name },
    {
      kind: 'valid_until',
      subject: name,
      message: `VALID UNTIL of ${name} ${until}, its leases end at ${new Date(end).toISOString()}: somebody altered the role, and may have set a password.`,
      remedy: `VALID UNTIL is set back${iam ? ', and the password is taken away' : ''}.`,
    },
  );
  return [finding];
}

/** Whoever is a member has the person's rights, and up to 15 may become the person. */
export const members = ({ login, members: beside }: InspectedLogin): Finding[] =>
  beside.map((member) =>
    mendable(
      { login },
      {
        kind: 'member',
        subject: `${login} ${member}`,
        message: `${member} is a member of ${login}: it has that person's rights, and counts as an IAM user wherever ${login} does.`,
        remedy: `The membership is taken back where the guard may; else: REVOKE ${quoted(login)} FROM ${quoted(member)}, as its grantor.`,
      },
    ),
  );

export function wrongPerson({ login, person }: InspectedLogin, whose: string | undefined): Finding[] {
  if (person === null || person === whose) return [];
  const here = whose === undefined ? 'to nobody that Usher knows' : `to ${whose}`;
  const finding = reported(login, {
    kind: 'wrong_person',
    subject: login,
    message: `${login} belongs to ${person} on the target, and ${here} here.`,
    remedy: 'Nothing is opened for it: the target refuses another person. Find out which of the two is true.',
  });
  return [finding];
}

export const directGrants = ({ login, directGrants: count }: InspectedLogin): Finding[] =>
  count === 0
    ? []
    : [
        reported(login, {
          kind: 'direct_grant',
          subject: login,
          message: `${count} ${count === 1 ? 'object gives' : 'objects give'} rights to ${login} itself, beside its groups: they stay when its leases end.`,
          remedy: `The DBA takes them back: REVOKE … FROM ${quoted(login)}, in the databases concerned.`,
        }),
      ];

export const foreignMarker = (role: string): Finding =>
  reported(null, {
    kind: 'foreign_marker',
    subject: role,
    message: `${role} is a member of usher_managed and was not made by the guard.`,
    remedy: `It is not touched. The DBA takes the marker off: REVOKE usher_managed FROM ${quoted(role)}.`,
  });

export const iamGroup = (role: string): Finding =>
  reported(null, {
    kind: 'iam_group',
    subject: role,
    message: `${role} cannot log in and reaches rds_iam: none of its members can log in by password any more.`,
    remedy: `It is not touched. The DBA: REVOKE rds_iam FROM ${quoted(role)}.`,
  });

/** For a statement that somebody runs by hand. */
const quoted = (name: string): string => (/^[a-z_][a-z0-9_]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`);
