/** What the RDS API says of a target: IAM authentication, certificates and their authorities, memory. Pure. */
import type { RdsInstance } from '../aws/rds.contract.js';
import type { RdsFacts, ReadinessFacts, ReadinessItem, ReadinessTarget } from './readiness-item.js';
import { bad, pass, unknown } from './readiness-item.js';
import { caCatalogue, caExpiry, certificateAuthority } from './trust-ca.js';

const DAY_MS = 86_400_000;
/** RDS renews certificates by itself long before; one that is so near its end was not renewed. */
const NEAR_DAYS = 30;
/** AWS docs UsingWithRDS.IAMDBAuth: IAM authentication wants 300 to 1,000 MiB beyond what the work needs. */
const SMALL_CLASS = /^db\.t\d[a-z]*\.(micro|small|medium)$/;

export function awsItems({ rds, target, now }: ReadinessFacts): ReadinessItem[] {
  const names = ['IAM authentication', 'certificates', 'certificate rotation', 'spare memory'];
  if ('why' in rds) return names.map((name) => unknown(name, rds.why));
  const facts = rds.value;
  return [
    status(facts),
    iamAuthentication(facts, target),
    ...(facts.instances.length === 0
      ? [unknown('certificates', 'RDS tells of no instance of this database.')]
      : facts.instances.flatMap((instance) => [
          authority(instance, facts, target, now),
          certificate(instance, facts, target, now),
          memory(instance, target),
        ])),
    rotation(facts, target),
  ];
}

function status({ status: said, database }: RdsFacts): ReadinessItem {
  const finding = `${database.kind} ${database.identifier} is ${said}`;
  return said === 'available' ? pass('status', finding) : bad('status', 'warn', finding, 'Wait until it is available.');
}

function iamAuthentication({ database, iamAuthentication: on }: RdsFacts, target: ReadinessTarget): ReadinessItem {
  const item = 'IAM authentication';
  if (on) return pass(item, 'switched on');
  const remedy =
    `aws rds modify-db-${database.kind === 'cluster' ? 'cluster' : 'instance'} --db-${database.kind}-identifier ${database.identifier}` +
    ` --enable-iam-database-authentication --apply-immediately --region ${target.region}` +
    ` (or POST /v1/targets/${target.id}/iam-authentication)`;
  return bad(item, 'fail', 'switched off: no token is let in', remedy);
}

const modify = (instance: RdsInstance, target: ReadinessTarget, authorityName: string): string =>
  `aws rds modify-db-instance --db-instance-identifier ${instance.identifier} --ca-certificate-identifier ${authorityName} --apply-immediately --region ${target.region}`;

/** The first authority of today that the engine version supports; the usual one where RDS does not say. */
function wanted({ version }: RdsFacts): string {
  const current = caCatalogue.filter(({ status: said }) => said !== 'expired').map(({ identifier }) => identifier);
  return current.find((one) => version?.authorities.includes(one)) ?? 'rds-ca-rsa2048-g1';
}

function authority(instance: RdsInstance, facts: RdsFacts, target: ReadinessTarget, now: Date): ReadinessItem {
  const item = `authority ${instance.identifier}`;
  if (instance.certificate === null) return unknown(item, 'RDS does not say which authority signed its certificate.');
  const { caIdentifier } = instance.certificate;
  const known = certificateAuthority(caIdentifier);
  const end = caExpiry(caIdentifier, target.region, true);
  const remedy = modify(instance, target, wanted(facts));
  if (known?.status === 'expired' || (end !== null && end <= now))
    return bad(item, 'fail', `${caIdentifier} has expired${end === null ? '' : ` on ${day(end)}`}`, remedy);
  if (facts.version !== undefined && !facts.version.authorities.includes(caIdentifier))
    return bad(item, 'fail', `${facts.engine} ${facts.engineVersion} does not support ${caIdentifier}`, remedy);
  if (known === undefined)
    return bad(item, 'warn', `${caIdentifier} is not in Usher's catalogue: look whether clients trust its root`, null);
  return pass(item, caIdentifier);
}

function certificate(instance: RdsInstance, facts: RdsFacts, target: ReadinessTarget, now: Date): ReadinessItem {
  const item = `certificate ${instance.identifier}`;
  const end = instance.certificate?.validTill ?? null;
  if (end === null) return unknown(item, 'RDS does not say when its server certificate ends.');
  const remedy = modify(instance, target, wanted(facts));
  const days = Math.floor((end.getTime() - now.getTime()) / DAY_MS);
  if (end <= now) return bad(item, 'fail', `ended on ${day(end)}: verified TLS is refused`, remedy);
  if (days < NEAR_DAYS) return bad(item, 'warn', `ends on ${day(end)}, in ${days} days`, remedy);
  return pass(item, `ends on ${day(end)}`);
}

function rotation({ engine, engineVersion, version }: RdsFacts, target: ReadinessTarget): ReadinessItem {
  const item = 'certificate rotation';
  const named = `${engine} ${engineVersion}`;
  if (version === undefined) return unknown(item, `RDS does not tell of ${named}: it may be withdrawn.`);
  const supported = version.authorities.length === 0 ? 'no authority named' : version.authorities.join(', ');
  if (version.rotatesWithoutRestart) return pass(item, `${named} rotates without a restart; supports ${supported}`);
  const remedy = `aws rds describe-db-engine-versions --engine ${engine} --region ${target.region} --query 'DBEngineVersions[?SupportsCertificateRotationWithoutRestart].EngineVersion'`;
  return bad(
    item,
    'warn',
    `${named} restarts when its certificate is renewed, every 3 years; supports ${supported}`,
    `Plan the restart, or upgrade to one of: ${remedy}`,
  );
}

function memory({ identifier, instanceClass }: RdsInstance, target: ReadinessTarget): ReadinessItem {
  const item = `memory ${identifier}`;
  if (instanceClass === '') return unknown(item, 'RDS does not say the class of this instance.');
  if (!SMALL_CLASS.test(instanceClass)) return pass(item, instanceClass);
  return bad(
    item,
    'warn',
    `${instanceClass} is small: logins by token need 300 to 1,000 MiB to spare`,
    `aws cloudwatch get-metric-statistics --namespace AWS/RDS --metric-name FreeableMemory --dimensions Name=DBInstanceIdentifier,Value=${identifier} --start-time "$(date -u -d '1 day ago' +%FT%TZ)" --end-time "$(date -u +%FT%TZ)" --period 3600 --statistics Minimum --region ${target.region}`,
  );
}

const day = (at: Date): string => at.toISOString().slice(0, 10);
