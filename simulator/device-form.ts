/** What a device makes of the form a request asks for: encoded once per subscriber, so that a tick only copies bytes. */
import { type ResponseForm } from '../core/gnmi/response-form.ts';
import { type SubscribeLimits, type SubscribePlan } from '../core/gnmi/subscribe-plan.ts';
import { type ValueForm } from '../core/gnmi/value-form.ts';
import { encodeOriginAndTarget } from '../core/gnmi/wire-path.ts';
import { type NotificationForm } from './notification-encoder.ts';

export interface DeviceLimits extends SubscribeLimits {
  readonly deviceName: string;
  /** What the values are in whatever was asked for: the fault of a device that ignores the encoding. */
  readonly sends: ValueForm | null;
}

export interface DevicePlan extends Omit<SubscribePlan, 'form'> {
  readonly form: NotificationForm;
  /** Equal for requests that see the same of every change. */
  readonly key: string;
}

const noBytes = Buffer.alloc(0);

/** A device has one name and one origin, so `*` is its name (N4), and only `openconfig` is ever said in a path. */
export function deviceForm(form: ResponseForm, limits: DeviceLimits): NotificationForm {
  const target = form.target === '*' ? limits.deviceName : form.target;
  return {
    values: limits.sends ?? form.values,
    prefix: encodeOriginAndTarget(form.prefixOrigin, target),
    pathHead: form.pathOrigins.has('openconfig') ? encodeOriginAndTarget('openconfig', '') : noBytes,
  };
}
